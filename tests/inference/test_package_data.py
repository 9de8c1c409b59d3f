import ast
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_every_file_beside_the_code_is_installed():
    calls = [
        node
        for node in ast.walk(ast.parse((ROOT / "setup.py").read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    shipped = next(word.value for call in calls for word in call.keywords if word.arg == "package_data")
    patterns = ast.literal_eval(shipped)["microemo.inference.report"]
    files = [
        path.name for path in (ROOT / "inference" / "report").iterdir() if path.is_file() and path.suffix != ".py"
    ]
    assert {"report_page.html", "report_view.css", "report_view.js", "report.schema.json"} <= set(files)
    assert [name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)] == []
