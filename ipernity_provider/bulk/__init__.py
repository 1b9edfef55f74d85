"""Many documents in one go: a manifest, its rows, the order of uploads, and a report.

Free of Airflow.
"""
