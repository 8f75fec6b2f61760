"""Jobs of a built stage: submitted, followed, looked up, retried and cancelled."""
