import type { BaseRecipe } from '../recipe.ts';

/** Debian's Python with pip, venv and headers, like the upstream images: the build stage installs compilers itself. */
export const python: BaseRecipe = {
  kind: 'python',
  from: 'debian',
  packages: ['python3', 'python-is-python3', 'python3-pip', 'python3-venv', 'python3-dev'],
  // PEP 668 protects a machine's Python; in an image pip may manage it, as in the upstream images.
  remove: ['/usr/lib/python3.13/EXTERNALLY-MANAGED'],
  env: {
    PYTHONUNBUFFERED: '1',
    PIP_NO_CACHE_DIR: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_ROOT_USER_ACTION: 'ignore',
  },
  command: ['python3'],
};
