"""An HTTP server for OpenAI clients that watches a video once and answers everybody's questions about it."""
