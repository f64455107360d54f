"""What the program of hostile prompts looks for beside the outputs: files where prompts' paths lead, and what is printed."""

import pytest

from trust import hostile
from trust.hostile import MARK, PROMPTS, Project, outside, said, standing


@pytest.fixture
def project(tmp_path, monkeypatch):
    made = object.__new__(Project)
    made.folder = tmp_path / "top" / "in" / "a project"
    made.made, made.said = [made.folder / "results", made.folder / "mine"], ""
    for folder in (tmp_path / "home", tmp_path / "temporary", *made.made):
        folder.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(hostile, "LED_TO", ("~", str(tmp_path / "temporary")))
    return made


INSIDE = ("CON", f"results/a/{MARK}.png", "results/=1+1", "mine/кольцо.png", "mine/link")


@pytest.mark.parametrize(
    "name", [f"home/{MARK}", f"temporary/{MARK}", f"top/{MARK}", *(f"top/in/a project/{name}" for name in INSIDE)]
)
def test_a_file_of_a_prompts_name_is_seen(project, tmp_path, name):
    before = standing(project)
    for usual in ("results/a/0000.png", f"results/figures/geneval-{MARK}-0a.svg", ".cache/x y", "mine/images.csv"):
        path = project.folder / usual
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "home" / "of others").touch()
    assert outside(project, before)[1] == []
    made = tmp_path / name
    made.symlink_to("/etc/passwd") if made.name == "link" else made.touch()
    assert str(made) in outside(project, before)[1]


def test_what_commands_print_is_read(project):
    with pytest.raises(RuntimeError, match="only 0 lines"):
        said(project)
    project.said = "a line\n" * len(PROMPTS)
    assert said(project) == (len(PROMPTS), [])
    project.said += "\x1b[2J\n"
    assert said(project)[1]
