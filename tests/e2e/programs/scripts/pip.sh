# pip builds a wheel, installs it for root and for a user, and mistrusts a cache of others.
export SOURCE_DATE_EPOCH=86400 PYTHONDONTWRITEBYTECODE=1
export PIP_NO_INDEX=1 PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1
export PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_WARN_SCRIPT_LOCATION=1
useradd -m -s /bin/sh alice
mkdir -p /tmp/source/thing
cd /tmp/source
cat > setup.py <<'END'
from setuptools import setup

setup(
    name="thing",
    version="1.0",
    packages=["thing"],
    entry_points={"console_scripts": ["thing = thing:main"]},
    data_files=[("share/thing", ["data"])],
)
END
cat > thing/__init__.py <<'END'
import os


def main():
    print(os.getresuid(), os.getresgid(), os.stat(__file__).st_uid)
END
echo data > data
{
    pip wheel --no-build-isolation --no-deps -w /tmp/wheels .
    pip install --no-compile /tmp/wheels/*.whl
    thing
    su -p alice -c 'HOME=/home/alice pip install --no-compile --user --ignore-installed /tmp/wheels/*.whl'
    su alice -c '~/.local/bin/thing'
    python3 -m venv --without-pip /opt/venv
    pip install --no-compile --target /opt/target /tmp/wheels/*.whl
    chown -R alice:alice /opt/target
    mkdir -p /root/.cache/pip
    chown alice /root/.cache/pip
    pip download --no-deps -d /tmp/download /tmp/wheels/*.whl
    pip uninstall -y thing
} > /said 2>&1
rm -r /tmp/source /tmp/wheels /tmp/download
