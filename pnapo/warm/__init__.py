"""Warm starts: jobs of a local run fork from a process that has already imported what they need.

Importing torch, diffusers and transformers costs more CPU than most jobs. Rules start `client.py` where they would start
`python`; it hands the job to a `server.py` that it starts if there is none, and behaves as the job itself: output,
signals and exit status. Where anything about this fails before the job began, the client becomes a plain `python`.
`PNAPO_WARM=0` asks for plain processes.
"""
