import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);
/** The stage that installs, and the final one. */
const stagesOf = ({ dockerfile }: BuildPlan): string[] => dockerfile.text.split(/^FROM /m).slice(1);

describe('Django', () => {
  const settings = "SECRET_KEY = os.environ['SECRET_KEY']\nSTATIC_ROOT = BASE_DIR / 'static'\n";
  const django = (files: Files = {}, requirements = 'django\ngunicorn\nwhitenoise\n'): Promise<BuildPlan> =>
    plan({
      'requirements.txt': requirements,
      'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
      'shop/settings.py': settings,
      ...files,
    });

  test('static files are collected during the build, with a secret key made for the build only', async () => {
    const made = await django();
    assert.equal(made.buildCommand, 'SECRET_KEY=only-for-this-build python manage.py collectstatic --noinput');
    assert.equal(made.warnings.length, 1);
    assert.match(made.warnings.join(), /^Django needs SECRET_KEY: /);
    assert.deepEqual((await repository.planAsItIs({ variables: { SECRET_KEY: 'x' } })).warnings, []);
    assert.equal((await django({ 'shop/settings.py': '# STATIC_ROOT = x' })).buildCommand, undefined);
  });

  test('a failed collectstatic prints what to do', async () => {
    const { dockerfile } = await django();
    assert.match(
      dockerfile.text,
      /collectstatic --noinput && .* \|\| \{ echo 'collectstatic failed\..*' >&2; exit 1; \}$/m,
    );
    const stated = await plan(
      { 'requirements.txt': 'django', 'manage.py': '', 'shop/settings.py': settings },
      { buildCommand: 'true' },
    );
    assert.match(stated.dockerfile.text, /^RUN true && chown -R 10001:10001 \/app$/m);
  });

  test('a project in a folder runs there, with the packages that the root lists', async () => {
    const below = {
      'requirements.txt': 'django\ngunicorn\nwhitenoise\n',
      'src/manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
      'src/shop/settings.py': settings,
      'src/shop/wsgi.py': '',
    };
    const made = await plan(below);
    assert.equal(made.installCommand, 'pip install -r requirements.txt');
    assert.equal(made.startCommand, 'cd src && gunicorn --bind 0.0.0.0:$PORT shop.wsgi:application');
    assert.equal(
      made.buildCommand,
      'cd src && SECRET_KEY=only-for-this-build python manage.py collectstatic --noinput',
    );
    const { 'requirements.txt': listed, ...rest } = below;
    const whole = await plan({ ...rest, 'src/requirements.txt': listed });
    assert.equal(whole.rootDirectory, 'src', 'with its packages listed beside it the folder is the root directory');
  });

  test('the wsgi module is used where it is, even outside the package of the settings', async () => {
    const made = await django({ 'backend/wsgi.py': 'os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"' });
    assert.equal(made.startCommand, 'gunicorn --bind 0.0.0.0:$PORT backend.wsgi:application');
  });

  test('the settings of the wsgi module are used, not those of manage.py', async () => {
    const made = await django({
      'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'config.settings.local')",
      'config/wsgi.py': 'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.production")',
      'config/settings/base.py': 'STATIC_ROOT = "x"\nSECRET_KEY = env("DJANGO_KEY")\n',
      'config/settings/production.py': 'from .base import *',
    });
    assert.equal(
      made.buildCommand,
      'DJANGO_SETTINGS_MODULE=config.settings.production DJANGO_KEY=only-for-this-build python manage.py collectstatic --noinput',
    );
  });

  test('a secret key with a value in the settings is not required from the environment', async () => {
    for (const key of ["'django-insecure-1'", "os.environ.get('SECRET_KEY', 'only-for-me')"]) {
      assert.deepEqual((await django({ 'shop/settings.py': `SECRET_KEY = ${key}\n` })).warnings, [], key);
    }
  });

  test('settings that admit no visitor, like those of a new project, cause a warning', async () => {
    const warned = async (hosts: string, files: Files = {}): Promise<boolean> => {
      const { warnings } = await django({ 'shop/settings.py': `ALLOWED_HOSTS = ${hosts}\n`, ...files });
      return warnings.some((warning) => warning.startsWith('ALLOWED_HOSTS in shop/settings.py names no domain'));
    };
    for (const hosts of ['[]', "['localhost', '127.0.0.1', '[::1]']"]) assert.equal(await warned(hosts), true, hosts);
    for (const hosts of ["['shop.example']", "['*']", "os.environ['HOSTS'].split(',')", '["localhost"] + HOSTS'])
      assert.equal(await warned(hosts), false, hosts);
    assert.equal(await warned("[]\nif not DEBUG:\n    ALLOWED_HOSTS = ['shop.example']"), false);
  });

  test('static files with a remote storage are not uploaded during a build', async () => {
    const storages = 'STORAGES = {"staticfiles": {"BACKEND": "storages.backends.s3.S3Storage"}}\n';
    assert.equal((await django({ 'shop/settings.py': settings + storages })).buildCommand, undefined);
  });

  test('static files that nothing serves cause a warning', async () => {
    assert.match((await django({}, 'django\ngunicorn\n')).warnings.join(), /whitenoise is not listed/);
  });

  test('a missing STATIC_ROOT causes a warning if the server serves no static files', async () => {
    const made = (more: string, requirements?: string): Promise<BuildPlan> =>
      django({ 'shop/settings.py': `INSTALLED_APPS = ['django.contrib.staticfiles']\n${more}` }, requirements);
    assert.match(
      (await made("STATIC_URL = 'static/'\n")).warnings.join(),
      /^shop\/settings\.py sets no STATIC_ROOT, so nothing serves/,
    );
    for (const more of ['STATIC_ROOT = BASE_DIR\n', 'WHITENOISE_USE_FINDERS = True\n']) {
      assert.deepEqual((await made(more)).warnings, [], more);
    }
    assert.doesNotMatch((await made('', 'django\n')).warnings.join(), /STATIC_ROOT/);
  });

  test('a listed ASGI server serves the app if gunicorn is not listed', async () => {
    const asgi = { 'shop/asgi.py': '' };
    assert.equal(
      (await django(asgi, 'django\nuvicorn\n')).startCommand,
      'uvicorn --host 0.0.0.0 --port $PORT shop.asgi:application',
    );
    assert.equal(
      (await django(asgi, 'django\ndaphne\n')).startCommand,
      'daphne --proxy-headers -b 0.0.0.0 -p $PORT shop.asgi:application',
    );
    assert.match((await django(asgi)).startCommand ?? '', /^gunicorn .* shop\.wsgi:application$/);
    assert.match((await django({}, 'django\nuvicorn\n')).startCommand ?? '', /runserver/);
  });
});

describe('requirements', () => {
  test('the requirements for production are installed among several files, with the files that they include', async () => {
    const made = await plan({
      'requirements/base.txt': 'flask\n',
      'requirements/production.txt': '-r base.txt\ngunicorn\n',
      'app.py': 'app = Flask(__name__)',
    });
    assert.equal(made.installCommand, 'pip install -r requirements/production.txt');
    assert.equal(made.startCommand, 'gunicorn --bind 0.0.0.0:$PORT app:app');
    const one = await plan({ 'requirements/prod.txt': 'flask\n', 'app.py': 'app = Flask(__name__)' });
    assert.match(one.dockerfile.text, /^COPY requirements\/prod\.txt requirements\/prod\.txt$/m);
  });

  test('a UTF-16 file, as PowerShell writes it, is read', async () => {
    const text = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from('flask==3.0\r\ngunicorn\r\n', 'utf16le')]);
    const made = await plan({ 'requirements.txt': text, 'app.py': 'app = Flask(__name__)' });
    assert.equal(made.startCommand, 'gunicorn --bind 0.0.0.0:$PORT app:app');
  });

  test('packages with C code get the libraries that they need to build and to run', async () => {
    const [build = '', run = ''] = stagesOf(await plan({ 'requirements.txt': 'psycopg2==2.9\n', 'app.py': '' }));
    assert.match(build, / gcc libc6-dev libpq-dev /);
    assert.match(run, / libpq5 /);
    assert.doesNotMatch(run, /gcc/);
    for (const binary of ['psycopg2-binary', 'psycopg[binary]>=3']) {
      const made = await plan({ 'requirements.txt': `${binary}\n`, 'app.py': '' });
      assert.doesNotMatch(made.dockerfile.text, /apt-get/, binary);
    }
    const [c = ''] = stagesOf(await plan({ 'requirements.txt': 'psycopg[c,pool]>=3\n', 'app.py': '' }));
    assert.match(c, /libpq-dev/);
  });

  test('OpenCV gets display libraries, and the plan names the variant that needs none', async () => {
    const made = await plan({ 'requirements.txt': 'opencv-python\n', 'app.py': '' });
    assert.match(stagesOf(made)[1] ?? '', /libgl1 libglib2\.0-0/);
    assert.match(made.warnings.join(), /Use opencv-python-headless/);
  });

  test('a dependency in a git repository installs git', async () => {
    const project = (text: string): Files => ({ 'pyproject.toml': text, 'main.py': '' });
    const lists: readonly Files[] = [
      { 'requirements.txt': 'x @ git+https://git.example/x\n', 'main.py': '' },
      project('[project]\nname = "a"\ndependencies = ["x @ git+https://git.example/x"]\n'),
      {
        ...project('[tool.uv.sources]\nx = { git = "https://git.example/x" }\n[project]\nname = "a"\n'),
        'uv.lock': '',
      },
    ];
    for (const files of lists)
      assert.match(stagesOf(await plan(files))[0] ?? '', /recommends git &&/, JSON.stringify(files));
    assert.doesNotMatch((await plan({ 'requirements.txt': 'gitpython\n', 'main.py': '' })).dockerfile.text, /apt-get/);
  });

  test('packages in folders of the repository are copied before a lockfile is installed', async () => {
    const locked = (source: string): Promise<BuildPlan> =>
      plan({ 'pyproject.toml': `[project]\nname = "a"\n${source}`, 'uv.lock': '', 'main.py': '' });
    assert.match(
      (await locked('[tool.uv.sources]\nx = { path = "libs/x" }\n')).dockerfile.text,
      /^COPY \. \.\nRUN .* uv sync/m,
    );
    assert.match(
      (await locked('[tool.uv.sources]\nx = { workspace = true }\n')).dockerfile.text,
      /^COPY \. \.\nRUN .* uv sync/m,
    );
    assert.match((await locked('')).dockerfile.text, /^COPY pyproject\.toml uv\.lock \.\/$/m);
  });
});

describe('the location of the app', () => {
  const flask = async (files: Files): Promise<string | undefined> =>
    (await plan({ 'requirements.txt': 'flask\ngunicorn\n', ...files })).startCommand;
  const factory = 'def create_app():\n    app = Flask(__name__)\n    return app\n';

  test('is a module that stores the result of create_app', async () => {
    const wsgi = 'from shop import create_app\n\napp = create_app()\n';
    assert.equal(
      await flask({ 'wsgi.py': wsgi, 'shop/__init__.py': factory }),
      'gunicorn --bind 0.0.0.0:$PORT wsgi:app',
    );
    assert.equal(await flask({ 'run.py': wsgi, 'shop/__init__.py': factory }), 'gunicorn --bind 0.0.0.0:$PORT run:app');
  });

  test('is a factory function alone, if it needs no arguments', async () => {
    assert.equal(await flask({ 'app/__init__.py': factory }), 'gunicorn --bind 0.0.0.0:$PORT "app:create_app()"');
    const optional = factory.replace('()', '(config=None, *, debug=False)');
    assert.equal(await flask({ 'app/__init__.py': optional }), 'gunicorn --bind 0.0.0.0:$PORT "app:create_app()"');
    const needed = { 'app/__init__.py': factory.replace('()', '(config)'), 'run.py': '' };
    assert.equal(await flask(needed), 'python run.py');
  });

  test('is an instance in a package, in the root directory or below src', async () => {
    const app = 'app = Flask(__name__)\n';
    assert.equal(await flask({ 'shop/__init__.py': app }), 'gunicorn --bind 0.0.0.0:$PORT shop:app');
    const made = await plan({ 'requirements.txt': 'fastapi\nuvicorn\n', 'src/shop/main.py': 'app = FastAPI()\n' });
    assert.equal(made.startCommand, 'PYTHONPATH=src uvicorn --host 0.0.0.0 --port $PORT shop.main:app');
    assert.match(made.dockerfile.text, /CMD \["sh","-c","exec env PYTHONPATH=src uvicorn /);
  });

  test('is, for Streamlit, any script in the root directory that imports it', async () => {
    const script = 'import streamlit as st\n';
    const start = async (files: Files): Promise<string | undefined> =>
      (await plan({ 'requirements.txt': 'streamlit\n', ...files })).startCommand;
    assert.match((await start({ 'Home.py': script, 'about.py': script })) ?? '', /^streamlit run Home\.py /);
    assert.match(
      (await start({ 'dashboard.py': script, 'clean.py': 'import pandas' })) ?? '',
      /^streamlit run dashboard\.py /,
    );
  });
});

test('scripts that serve by themselves listen on an address that visitors can reach', async () => {
  const start = async (name: string, script: string, more = ''): Promise<(string | number | undefined)[]> => {
    const made = await plan({ 'requirements.txt': `${name}\n${more}`, 'demo.py': script });
    return [made.framework, made.port, made.startCommand];
  };
  const gradio = 'GRADIO_SERVER_NAME=0.0.0.0 GRADIO_SERVER_PORT=$PORT python demo.py';
  assert.deepEqual(await start('gradio', 'import gradio as gr\n'), ['Gradio', 7860, gradio]);
  const dash = 'from dash import Dash\napp = Dash()\n';
  assert.deepEqual(await start('dash', dash), ['Dash', 8050, 'HOST=0.0.0.0 python demo.py']);
  const served = await start('dash', `${dash}server = app.server\n`, 'gunicorn');
  assert.deepEqual(served, ['Dash', 8050, 'gunicorn --bind 0.0.0.0:$PORT demo:server']);
});

test("dependencies that only the project's build knows are installed through it", async () => {
  const project = '[project]\nname = "shop"\ndynamic = ["version", "dependencies"]\n';
  const made = await plan({ 'pyproject.toml': project, 'main.py': '' });
  assert.equal(made.installCommand, 'pip install .');
});

test('dependencies of poetry without a lockfile are installed by poetry, without the app as a package', async () => {
  const poetry = '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = "^3.12"\nflask = "^3"\n';
  const made = await plan({ 'pyproject.toml': poetry, 'app.py': 'app = Flask(__name__)\n' });
  assert.equal(made.framework, 'Flask');
  assert.match(
    made.dockerfile.text,
    /pip install poetry\n[^]*^COPY pyproject\.toml \.\/\nRUN \S+ poetry install --only main --no-root/m,
  );
});

test('a FastAPI app from a factory function is served by calling the function', async () => {
  const code = 'def create_app() -> FastAPI:\n    return FastAPI()\n';
  const made = await plan({ 'requirements.txt': 'fastapi\nuvicorn\n', 'app/main.py': code });
  assert.equal(made.startCommand, 'uvicorn --host 0.0.0.0 --port $PORT --factory app.main:create_app');
  const gunicorn = await plan({ 'requirements.txt': 'fastapi\nuvicorn\ngunicorn\n', 'app/main.py': code });
  assert.match(gunicorn.startCommand ?? '', /UvicornWorker --bind 0\.0\.0\.0:\$PORT "app\.main:create_app\(\)"$/);
});

describe('uv', () => {
  const api = (more = ''): Files => ({
    'packages/api/pyproject.toml': `[project]\nname = "shop-api"\ndependencies = ["fastapi", "uvicorn", "lib"]\n${more}`,
    'packages/api/main.py': 'app = FastAPI()',
  });
  const workspace = (members: string): Files => ({
    'pyproject.toml': `[tool.uv.workspace]\nmembers = ${members}\n`,
    'uv.lock': '',
    'packages/lib/pyproject.toml': '[project]\nname = "lib"\n',
    ...api('[tool.uv.sources]\nlib = { workspace = true }\n'),
  });

  for (const [how, settings] of [
    ['the only app among them', {}],
    ['the root directory', { rootDirectory: 'packages/api' }],
  ] as const) {
    test(`installs a workspace member, ${how}, with the shared lockfile and runs it in its folder`, async () => {
      const made = await plan(workspace('["packages/*"]'), settings);
      assert.equal(made.rootDirectory, '.');
      assert.match(made.installCommand ?? '', /^uv sync --frozen .* --package shop-api$/);
      const [build = '', run = ''] = stagesOf(made);
      assert.match(build, /^COPY \. \.\nRUN .* uv sync/m);
      assert.match(run, /^COPY --chown=\S+ \. \/app\nWORKDIR \/app\/packages\/api\n/m);
    });
  }

  test('leaves a folder that is not a member with its own dependencies', async () => {
    const made = await plan(
      { ...workspace('["packages/lib/", "other"]'), ...api() },
      { rootDirectory: 'packages/api' },
    );
    assert.deepEqual(
      [made.rootDirectory, made.installCommand],
      ['packages/api', 'pip install -r .orkestr/requirements.txt'],
    );
  });

  test('takes a package with another source from there instead of the registry, even without a lockfile', async () => {
    const listed = '[project]\ndependencies = ["flask", "lib"]\n[tool.uv.sources]\nlib = { git = "https://x/lib" }\n';
    const made = await plan({ 'pyproject.toml': listed, 'app.py': 'app = Flask(__name__)' });
    assert.equal(made.installCommand, 'uv sync --no-dev --no-install-project');
    assert.match(stagesOf(made)[0] ?? '', / git .*\n[^]*pip install uv$/m);
  });
});

test('an npm start that only watches assets does not turn a Django project into a Node.js app', async () => {
  const manifest = {
    scripts: { start: 'tailwindcss -i in.css -o out.css --watch' },
    devDependencies: { tailwindcss: '4' },
  };
  const made = await plan({
    'requirements.txt': 'django\ngunicorn\n',
    'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
    'package.json': JSON.stringify(manifest),
  });
  assert.equal(made.framework, 'Django');
});
