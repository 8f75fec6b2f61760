"""What a runner is told and what it tells: its spec, requests, secrets, status and logs, in a folder for each stage."""
