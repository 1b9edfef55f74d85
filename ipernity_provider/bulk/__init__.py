"""Many documents in one go: a manifest, the rows of it, who is sent when, and a report. Free of Airflow."""
