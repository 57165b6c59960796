"""Traces for whoever collects them by OTLP. Nothing of OpenTelemetry is imported before tracing is asked for."""
