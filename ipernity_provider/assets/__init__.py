"""Documents as Airflow assets."""
