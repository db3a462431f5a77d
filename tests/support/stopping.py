"""Ctrl-C and SIGTERM end a run at once, whatever the code under test makes of them."""

import os
import signal
import threading

import pytest

_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class Stopper:
    """In the process that reports: ask the test to stop, and stop after it if it goes on."""

    def __init__(self):
        self.asked = False
        self.nodes = []

    def install(self):
        for number in _NUMBERS:
            signal.signal(number, self.ask)

    def ask(self, _number, _frame):
        self.asked = True
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_DFL)  # the next one ends the process
        raise KeyboardInterrupt

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self):
        done = yield
        if self.asked:  # click, for one, takes a KeyboardInterrupt for an answer
            raise KeyboardInterrupt
        return done

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodeready(self, node):
        self.nodes.append(node)

    def pytest_keyboard_interrupt(self):
        for node in self.nodes:
            node.gateway._io.kill()  # as execnet does after having waited for ten seconds


def pytest_configure(config):
    if threading.current_thread() is not threading.main_thread():
        return
    if "PYTEST_XDIST_WORKER" in os.environ:
        for number in _NUMBERS:
            signal.signal(number, signal.SIG_DFL)  # there is nothing left to do for a worker
    else:
        stopper = Stopper()
        stopper.install()
        config.pluginmanager.register(stopper, "stopper")
