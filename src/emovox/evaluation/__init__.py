"""Turn predictions into scores, intervals and verdicts; works on arrays, not files."""
