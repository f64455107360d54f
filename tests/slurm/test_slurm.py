"""`snakemake --profile slurm` on a real SLURM: devices, resources, and what goes wrong on clusters."""

import os
import re
import shutil
import signal
import time

import pytest

pytestmark = pytest.mark.timeout(5400)  # a first run on a slow machine takes a while


def of_rule(snapshot: dict, rule: str) -> list[dict]:
    return [job for job in snapshot.values() if job.get("Comment", "").startswith(f"rule_{rule}_")]


def test_the_whole_story_runs_as_slurm_jobs(story) -> None:
    project, watch = story
    assert (project.folder / "results" / "report.html").exists()
    comments = {job.get("Comment", "") for seen in watch.seen for job in seen.values()}
    rules = {re.sub(r"^rule_|_wildcards_.*", "", comment) for comment in comments}
    assert {"generate_pairs", "decode_pairs", "label_pairs", "train", "score_images"} <= rules
    groups = {"sources_read_source_write_source", "selection_cluster_prompts_select_prompts"}
    assert groups | {"tables_compute_table_funnel_table_main_table_report"} <= rules, rules
    assert not {"main_table", "report", "select_prompts", "read_source"} & rules


def test_gpu_jobs_have_a_device_each_and_the_third_waits(story) -> None:
    _, watch = story
    waited = False
    for seen in watch.seen:
        jobs = [job for job in seen.values() if "gpu" in job.get("TresPerJob", "")]
        running = [job for job in jobs if job["JobState"] == "RUNNING"]
        devices = [found[1] for job in running if (found := re.search(r"IDX:(\d+)", job.get("GRES", "")))]
        assert len(set(devices)) == len(devices) <= 2
        pending = [job for job in jobs if job["JobState"] == "PENDING" and job["Reason"] in ("Resources", "Priority")]
        waited |= len(devices) == 2 and len(pending) > 0
    assert waited, {job.get("Reason") for seen in watch.seen for job in seen.values() if job["JobState"] == "PENDING"}
    last = {job["JobId"]: job["JobState"] for job in of_rule(watch.seen[-1], "generate_pairs")}
    assert len(last) == 3 and set(last.values()) == {"COMPLETED"}


def test_a_job_gets_what_its_rule_asks_for(story) -> None:
    _, watch = story
    jobs = {job["Comment"].split("_wildcards_")[0]: job for seen in watch.seen for job in seen.values()}
    train, near = jobs["rule_train"], jobs["rule_drop_near_duplicates"]
    assert (train["MinMemoryNode"], train["TimeLimit"]) == ("1500M", "00:30:00")
    assert train["TresPerJob"].endswith("gpu:1") and "TresPerJob" not in near
    assert (near["MinMemoryNode"], near["TimeLimit"], near["Partition"]) == ("1500M", "01:00:00", "cpu")
    assert train["Requeue"] == "1"


def test_a_training_over_two_nodes_follows_the_same_curve(trained, slurm) -> None:
    project, _ = trained
    changes = ("--config", "runs={pnapo: {steps: 20, batch: 2, accumulation: 2}}", *project.target)
    shutil.rmtree(project.checkpoint)
    project.run_here(*changes)
    alone = project.losses()
    shutil.rmtree(project.checkpoint)
    two_nodes = {"slurm_partition": "both", "nodes": 2, "gpu": 0, "gres": "gpu:1", "processes": 2}
    project.write_profile(**two_nodes)
    try:
        project.finish(project.start(*changes))
    finally:
        project.write_profile()
    job = slurm.of_rule("train")[-1]
    assert (job["JobState"], job["NumNodes"], job["NodeList"]) == ("COMPLETED", "2", "one,two")
    assert "2 processes, each making 1 of a step's 2 forward passes" in project.log()
    assert len(alone) == 20 and project.losses() == pytest.approx(alone, rel=1e-4)


def test_a_job_that_is_cancelled_in_training_resumes_with_more_time(trained, slurm) -> None:
    project, undisturbed = trained
    process = project.start_training()
    (job,) = slurm.of_rule("train", "RUNNING")
    slurm.run("scancel", job["JobId"])
    (second,) = slurm.wait_for(
        lambda: slurm.of_rule("train", "RUNNING", "COMPLETING", "COMPLETED")[-1:], "the second attempt"
    )
    screen = project.finish(process)
    second = slurm.jobs()[slurm.of_rule("train")[-1]["JobId"]]
    assert second["JobId"] != job["JobId"] and second["TimeLimit"] == "01:00:00"
    assert "resuming at step" in project.log() and job["JobId"] in screen
    assert project.weights() == undisturbed


def test_after_kill_9_a_new_start_finishes_without_redoing(trained, slurm) -> None:
    project, undisturbed = trained
    process = project.start_training()
    (orphan,) = slurm.of_rule("train", "RUNNING")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert slurm.jobs()[orphan["JobId"]]["JobState"] == "RUNNING"
    known = set(slurm.jobs())
    screen = project.finish(project.start(*project.target))
    assert "Removing the lock of a Snakemake that was killed" in screen
    assert f"left in the queue: {orphan['JobId']}" in screen
    assert slurm.jobs()[orphan["JobId"]]["JobState"] == "CANCELLED"
    new = [job["Comment"].split("_wildcards_")[0] for name, job in slurm.jobs().items() if name not in known]
    assert new.count("rule_train") == 1 and not {"rule_generate_pairs", "rule_label_pairs"} & set(new)
    assert "resuming at step" in project.log() and project.weights() == undisturbed


def test_a_preempted_job_goes_back_into_the_queue_and_resumes(trained, slurm) -> None:
    project, undisturbed = trained
    project.write_profile(slurm_partition="low")
    try:
        process = project.start_training()
        (job,) = slurm.of_rule("train", "RUNNING")
        slurm.run(
            "sbatch",
            "--partition",
            "urgent",
            "--gpus",
            "2",
            "--mem",
            "100",
            "--output",
            "/dev/null",
            "--wrap",
            "sleep 2",
        )
        slurm.wait_for(lambda: slurm.jobs()[job["JobId"]]["JobState"] == "PENDING", "the preemption")
        slurm.run("scontrol", "update", f"JobId={job['JobId']}", "StartTime=now")  # SLURM would wait for two minutes
        project.finish(process)
    finally:
        project.write_profile()
    assert slurm.jobs()[job["JobId"]]["Restarts"] == "1"
    assert "resuming at step" in project.log() and project.weights() == undisturbed


def test_a_node_that_fails_and_comes_back_costs_no_work(trained, slurm) -> None:
    project, undisturbed = trained
    process = project.start_training()
    (job,) = slurm.of_rule("train", "RUNNING")
    slurm.run("scontrol", "update", f"NodeName={slurm.node}", "State=DOWN", "Reason=test")
    slurm.wait_for(lambda: not slurm.has_processes(job["JobId"]), "the end of the job")
    time.sleep(30)  # slurmd takes a moment to notice, and drains a node that is given a job twice
    resume = ("scontrol", "update", f"NodeName={slurm.node}", "State=RESUME")
    slurm.run(*resume)
    if slurm.jobs()[job["JobId"]]["JobState"] == "PENDING":
        slurm.run("scontrol", "update", f"JobId={job['JobId']}", "StartTime=now")

    def begun_again() -> bool:
        if "DRAIN" in slurm.run("scontrol", "show", "node", slurm.node):
            slurm.run(*resume)
        return slurm.jobs()[job["JobId"]]["JobState"] in ("RUNNING", "COMPLETED")

    slurm.wait_for(begun_again, "the job's second start")
    project.finish(process)
    assert "resuming at step" in project.log() and project.weights() == undisturbed
