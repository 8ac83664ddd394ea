"""Reports: tables and bar charts as Markdown and HTML, and plots of an answer."""
