# A Python project of a user's is built as that user: byte code, an archive that runs, a wheel.
export SOURCE_DATE_EPOCH=86400 PIP_NO_INDEX=1 PIP_QUIET=1 PIP_DISABLE_PIP_VERSION_CHECK=1
useradd -m -s /bin/sh alice
mkdir -p /srv/build/thing
cd /srv/build
cat > pyproject.toml <<'END'
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "thing"
version = "1.0"
[project.scripts]
thing = "thing:main"
[tool.setuptools]
packages = ["thing"]
END
cat > thing/__init__.py <<'END'
import os


def main():
    print(os.getresuid(), os.getgroups())
END
chown -R alice:alice /srv/build
{
    su -p alice -c 'export HOME=/home/alice; cd /srv/build
        python3 -m compileall -q thing
        python3 -m zipapp -m thing:main -o thing.pyz . --compress
        pip wheel --no-build-isolation --no-deps -w wheels .'
    su alice -c 'python3 /srv/build/thing.pyz'
    python3 -m zipfile -l wheels/*.whl | sed 's/ .*//' | sort
    python3 -m venv --system-site-packages --without-pip /opt/thing
    pip --python /opt/thing install --no-deps wheels/*.whl
    /opt/thing/bin/thing
    find /srv /opt -printf '%u:%g %m %p\n' | sort -k 3
} > /said 2>&1
# The archive has the times of the project's files.
rm /srv/build/thing.pyz
