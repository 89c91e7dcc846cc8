import { strict as assert } from 'node:assert';
import { after, before, describe, test } from 'node:test';
import type { BuildPlan } from '../../../protocol/steps.ts';
import { evidenceOf, RepositoryFolder } from '../test-repository.ts';

let repository: RepositoryFolder;
before(async () => {
  repository = await RepositoryFolder.make();
});
after(() => repository.remove());

type Files = Parameters<RepositoryFolder['plan']>[0];
const plan = (files: Files, settings = {}): Promise<BuildPlan> => repository.plan(files, settings);

describe('detector python', () => {
  test('serves Flask with gunicorn if that is listed', async () => {
    const made = await plan({ 'requirements.txt': 'Flask==3\ngunicorn', 'app.py': 'web = flask.Flask(__name__)' });
    assert.equal(made.framework, 'Flask');
    assert.equal(made.startCommand, 'gunicorn --bind 0.0.0.0:$PORT app:web');
    assert.match(made.dockerfile.text, /COPY requirements\.txt \.\/\nRUN \S+ pip install -r requirements\.txt/);
  });

  test('uses the development server, with a warning, if no other is listed', async () => {
    const made = await plan({ 'requirements.txt': 'flask', 'app.py': 'app = Flask(__name__)' });
    assert.match(made.startCommand ?? '', /flask --app app:app run/);
    assert.match(made.warnings.join(), /gunicorn is not listed/);
  });

  test('serves FastAPI from pyproject.toml with uvicorn and installs its dependencies', async () => {
    const made = await plan({
      'pyproject.toml':
        '[project]\nname = "x"\nrequires-python = ">=3.14"\ndependencies = ["fastapi[standard]>=0.100"]\n',
      'app/main.py': 'api: FastAPI = FastAPI()',
    });
    assert.equal(made.startCommand, 'uvicorn --host 0.0.0.0 --port $PORT app.main:api');
    assert.deepEqual(
      made.files.find(({ path }) => path.endsWith('requirements.txt'))?.text,
      'fastapi[standard]>=0.100\n',
    );
    assert.match(made.dockerfile.text, /^FROM python:3\.14-slim-trixie$/m);
  });

  test('recognises Django by manage.py and serves its wsgi module', async () => {
    const made = await plan({
      'requirements.txt': '-r base.txt\n',
      'base.txt': 'Django>=5\ngunicorn>=20',
      'manage.py': "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')",
    });
    assert.equal(made.framework, 'Django');
    assert.equal(made.startCommand, 'gunicorn --bind 0.0.0.0:$PORT shop.wsgi:application');
    assert.match(made.dockerfile.text, /COPY \. \.\nRUN/);
  });

  test('gives a Procfile precedence', async () => {
    const made = await plan({
      'requirements.txt': 'flask',
      Procfile: 'web: waitress-serve --port=$PORT app:app',
      'app.py': '',
    });
    assert.equal(evidenceOf(made, 'start'), 'waitress-serve --port=$PORT app:app (Procfile)');
  });

  test('accepts an entry file alone', async () => {
    const made = await plan({ 'server.py': 'print()' });
    assert.equal(made.startCommand, 'python server.py');
    assert.equal(made.installCommand, undefined);
  });

  test('does not take a library without anything to start for an app', async () => {
    assert.match((await repository.refusal({ 'pyproject.toml': '[project]\nname = "x"\n' })).message, /no manage\.py/);
  });
});
