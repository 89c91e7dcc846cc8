"""Makes a module proxy (go.dev/ref/mod#goproxy-protocol) from the modules that Debian has installed as sources.

Called as: python3 proxy.py FOLDER
"""

import json
import pathlib
import re
import subprocess
import sys
import zipfile

SOURCES = pathlib.Path('/usr/share/gocode/src')


def version_of(manifest):
    owner = subprocess.run(['dpkg', '-S', str(manifest)], capture_output=True, text=True, check=True).stdout
    show = ['dpkg-query', '--show', '--showformat=${Version}', owner.split(':')[0]]
    version = subprocess.run(show, capture_output=True, text=True, check=True).stdout
    return 'v' + re.match(r'(?:\d+:)?(\d+\.\d+\.\d+)', version)[1]


def main():
    for manifest in SOURCES.rglob('go.mod'):
        module, version = manifest.parent.relative_to(SOURCES), version_of(manifest)
        folder = pathlib.Path(sys.argv[1]) / module / '@v'
        folder.mkdir(parents=True)
        (folder / 'list').write_text(f'{version}\n')
        (folder / f'{version}.info').write_text(json.dumps({'Version': version}))
        (folder / f'{version}.mod').write_bytes(manifest.read_bytes())
        with zipfile.ZipFile(folder / f'{version}.zip', 'w') as archive:
            for path in sorted(manifest.parent.rglob('*')):
                if path.is_file():
                    archive.write(path, f'{module}@{version}/{path.relative_to(manifest.parent)}')


main()
