"""Order of the tests: modules that hold a slow one first, so that no worker ends with a long one while others idle."""


def pytest_collection_modifyitems(items):
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
