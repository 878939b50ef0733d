#!/bin/sh
# Creates the namespace once the server answers; safe to run again. It reads TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE.
set -eu

attempt=0
until temporal operator cluster health >/dev/null 2>&1; do
    attempt=$((attempt + 1))
    test "$attempt" -lt 60 || { echo "no healthy Temporal server at $TEMPORAL_ADDRESS after two minutes" >&2; exit 1; }
    sleep 2
done

temporal operator namespace describe --namespace "$TEMPORAL_NAMESPACE" >/dev/null 2>&1 ||
    temporal operator namespace create --namespace "$TEMPORAL_NAMESPACE" --retention 30d
echo "namespace $TEMPORAL_NAMESPACE is ready"
