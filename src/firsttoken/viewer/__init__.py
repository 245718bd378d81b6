"""The viewer: OTLP in, SQLite, one page. Floor 5 (plug; FastAPI, uvicorn, protobuf)."""
