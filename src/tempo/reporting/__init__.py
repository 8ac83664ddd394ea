"""Reports: titled tables and bar charts, as Markdown, as one HTML page, and as files."""
