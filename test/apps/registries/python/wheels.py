"""Makes wheels (PEP 427) from the Python packages that Debian has installed.

Debian takes requirements out of their metadata and makes them its own dependencies, so they are read from there.
Called as: python3 wheels.py FOLDER
"""

import base64
import csv
import hashlib
import io
import pathlib
import re
import subprocess
import sys
import zipfile
from importlib.metadata import distributions

SITE = pathlib.Path('/usr/lib/python3/dist-packages')
COMPILED = f'cp3{sys.version_info.minor}-cp3{sys.version_info.minor}-linux_x86_64'


def run(*argv):
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def files_of(package):
    """Files of a Debian package, as far as they are importable."""
    paths = [pathlib.Path(line) for line in run('dpkg', '-L', package).splitlines() if line.startswith(f'{SITE}/')]
    return [path for path in paths if path.is_file() and not re.search(r'\.(egg|dist)-info', str(path))]


def requirements_of(package, names):
    """Names of the distributions that its Debian package depends on."""
    depends = re.sub(r'\([^)]*\)', '', run('dpkg-query', '--show', '--showformat=${Depends}', package))
    return [names[one] for one in re.findall(r'[a-z0-9][a-z0-9+.-]+', depends) if one in names]


def metadata_of(distribution, requirements):
    text = distribution.read_text('METADATA') or distribution.read_text('PKG-INFO') or ''
    head, _, body = text.partition('\n\n')
    known = [line for line in head.splitlines() if not line.startswith(('Requires-Dist:', 'Provides-Extra:'))]
    return '\n'.join([*known, *(f'Requires-Dist: {name}' for name in requirements)]) + f'\n\n{body}'


def record_of(members, path):
    """RECORD: each file with its digest and size, itself without."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator='\n')
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()
        rows.writerow([name, f'sha256={digest}', len(data)])
    rows.writerow([path, '', ''])
    return text.getvalue().encode()


def write_wheel(distribution, package, names, folder):
    name = re.sub(r'[-_.]+', '_', distribution.metadata['Name'])
    # A wheel has no place for Debian's own part of a version.
    version = distribution.version.split('+')[0]
    files = files_of(package)
    tag = COMPILED if any(path.suffix == '.so' for path in files) else 'py3-none-any'
    information = f'{name}-{version}.dist-info'
    metadata = metadata_of(distribution, requirements_of(package, names)).replace(distribution.version, version, 1)
    members = {str(path.relative_to(SITE)): path.read_bytes() for path in files}
    members[f'{information}/METADATA'] = metadata.encode()
    members[f'{information}/WHEEL'] = f'Wheel-Version: 1.0\nGenerator: e2e\nRoot-Is-Purelib: true\nTag: {tag}\n'.encode()
    entry_points = distribution.read_text('entry_points.txt')
    if entry_points is not None:
        members[f'{information}/entry_points.txt'] = entry_points.encode()
    members[f'{information}/RECORD'] = record_of(members, f'{information}/RECORD')
    with zipfile.ZipFile(folder / f'{name}-{version}-{tag}.whl', 'w', zipfile.ZIP_DEFLATED) as wheel:
        for path, data in members.items():
            wheel.writestr(path, data)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True)
    found = {run('dpkg', '-S', str(one._path)).split(':')[0]: one for one in distributions(path=[str(SITE)])}
    names = {package: one.metadata['Name'] for package, one in found.items()}
    for package, distribution in found.items():
        write_wheel(distribution, package, names, folder)


main()
