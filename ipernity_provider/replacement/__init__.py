"""The life of one replacement, free of Airflow: check, back up, send once, wait, prove."""
