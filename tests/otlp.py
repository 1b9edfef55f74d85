"""A receiver of OpenTelemetry's metrics, by OTLP over HTTP."""

from __future__ import annotations

import gzip
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric


class Otlp:
    """An OTLP receiver: it keeps the newest value of each metric of each process.

    Airflow's processes send totals since their start; what has started at another time is
    another process.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, int], float] = {}
        self._kinds: dict[str, tuple[str, str]] = {}
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                if self.path == "/v1/metrics":
                    receiver._take(ExportMetricsServiceRequest.FromString(body))
                self.send_response(200 if self.path == "/v1/metrics" else 404)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportMetricsServiceResponse().SerializeToString())

            def log_message(self, *_: object) -> None:
                """Keep the test's output free of it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def totals(self) -> Counter[str]:
        """Return the sum of each counter, the last value of each gauge, and each timer's count."""
        found: Counter[str] = Counter()
        with self._lock:
            for (name, _), value in self._values.items():
                found[name] += value  # type: ignore[assignment]
        return found

    def kinds(self) -> dict[str, tuple[str, str]]:
        """Return what each metric is, and its unit: ``("sum", "")``."""
        with self._lock:
            return dict(self._kinds)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _take(self, request: ExportMetricsServiceRequest) -> None:
        metrics = [
            metric
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
        with self._lock:
            for metric in metrics:
                self._keep(metric)

    def _keep(self, metric: Metric) -> None:
        kind = str(metric.WhichOneof("data"))
        self._kinds[metric.name] = (kind, metric.unit)
        for point in getattr(metric, kind).data_points:
            if kind == "gauge":
                self._values[metric.name, 0] = point.as_double or point.as_int
                continue
            value = point.count if "histogram" in kind else point.as_double or point.as_int
            self._values[metric.name, point.start_time_unix_nano] = value
