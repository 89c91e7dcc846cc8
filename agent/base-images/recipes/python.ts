import type { BaseRecipe } from '../recipe.ts';

/** Python of Debian with pip and venv, and as in the upstream images its headers: compilers are the build stage's own matter. */
export const python: BaseRecipe = {
  kind: 'python',
  from: 'debian',
  packages: ['python3', 'python-is-python3', 'python3-pip', 'python3-venv', 'python3-dev'],
  // PEP 668 guards a machine's Python; in an image pip owns it, as in the upstream python images.
  remove: ['/usr/lib/python3.13/EXTERNALLY-MANAGED'],
  env: {
    PYTHONUNBUFFERED: '1',
    PIP_NO_CACHE_DIR: '1',
    PIP_DISABLE_PIP_VERSION_CHECK: '1',
    PIP_ROOT_USER_ACTION: 'ignore',
  },
  command: ['python3'],
};
