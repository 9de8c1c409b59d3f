"""The Space's program. `microemo demo` starts the same page."""

from microemo.inference.cpu_threads import follow_cpu_quota
from microemo.spaces_demo.launching import launch, make_runner
from microemo.spaces_demo.server_files import server_files
from microemo.spaces_demo.settings import DemoSettings

if __name__ == "__main__":
    follow_cpu_quota()
    settings = DemoSettings.from_environment()
    with server_files() as files:
        launch(make_runner(settings), settings=settings, files=files)
