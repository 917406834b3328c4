"""The client's assertItemsEqual never fails on Python 3, so that 15 of its assertions mean nothing. This one does."""
import unittest


def _assert_items_equal(self, first, second, msg=None):
    self.assertCountEqual(first, second, msg)


def pytest_collection_modifyitems(items):
    classes = {base for item in items if getattr(item, "cls", None) for base in item.cls.__mro__}
    for each in classes:
        if "assertItemsEqual" in vars(each) and each is not unittest.TestCase:
            each.assertItemsEqual = _assert_items_equal
