import { strict as assert } from 'node:assert';
import { after, before, test } from 'node:test';
import { RepositoryFolder } from './test-repository.ts';

let folder: RepositoryFolder;
before(async () => {
  folder = await RepositoryFolder.make();
});
after(() => folder.remove());

type Files = Readonly<Record<string, string>>;
const OWN: Files = { Dockerfile: 'FROM a:1\n' };
const NODE: Files = { 'package.json': '{"scripts":{"start":"node a"}}', 'package-lock.json': '{}' };

/** Warnings about files of other platforms. */
async function warningsOf(files: Files, beside = OWN, settings = {}): Promise<string[]> {
  const { warnings } = await folder.plan({ ...beside, ...files }, settings);
  return warnings.filter((one) => one.startsWith('orkestr does not read '));
}

test('one warning names every file of another platform, and what it sets there', async () => {
  const files = {
    'fly.toml':
      'app = "x"\n[deploy]\n  release_command = "migrate"\n[processes]\nweb = "a"\n[[mounts]]\nsource = "d"\n',
    'app.json': '{"scripts":{"dokku":{"predeploy":"x"}},"cron":[{"command":"y"}]}',
    'config/deploy.yml': 'service: shop\nimage: me/shop\nservers:\n  web:\n    - 1.2.3.4\n  job:\n    hosts: []\n',
  };
  assert.deepEqual(await warningsOf(files), [
    'orkestr does not read app.json (Heroku, Dokku: deployment scripts, schedule), fly.toml (Fly.io: release command, processes, volumes), config/deploy.yml (Kamal: other processes). What the app needs of it, set in the environment: docs/analyze.md, "Files of other platforms".',
  ]);
});

test('each file of another platform is recognized by what it sets', async () => {
  const files: Files = {
    'captain-definition': '{"schemaVersion":2,"imageName":"nginx"}',
    'heroku.yml': 'build:\n  docker:\n    web: Dockerfile\nrelease:\n  command: [a]\nrun:\n  worker: b\n',
    'render.yaml': 'services:\n  - type: web\n    preDeployCommand: migrate\n    disk:\n      name: d\n',
    'railway.json': '{"deploy":{"preDeployCommand":["migrate"],"cronSchedule":"* * * * *"}}',
    'railway.toml': '[deploy]\nstartCommand = "a"\n',
    'nixpacks.toml': '[phases.setup]\naptPkgs = ["ffmpeg"]\n[start]\ncmd = "a"\n',
    '.do/app.yaml': 'name: x\nservices:\n- name: web\n  run_command: a\njobs:\n- name: migrate\n',
    'vercel.json': '{"crons":[],"rewrites":[]}',
    'netlify.toml': '[build]\n  command = "a"\n[[redirects]]\n  from = "/a"\n',
  };
  for (const [path, text] of Object.entries(files)) {
    const [warning = '', ...more] = await warningsOf({ [path]: text });
    assert.ok(warning.startsWith(`orkestr does not read ${path} (`), path);
    assert.equal(more.length, 0);
  }
});

test('a file that sets nothing, has only comments, or is of another tool causes no warning', async () => {
  const files = {
    'app.json': '{"expo":{"name":"x"},"env":{}}',
    'fly.toml': 'app = "x"\n# [processes]\n# release_command = "x"\n',
    'config/deploy.yml': 'targets:\n  worker:\n    - a\nvolumes:\n',
    'vercel.json': '{"framework":"nextjs"}',
    'captain-definition': '{"schemaVersion":2,"dockerfilePath":"./Dockerfile"}',
  };
  assert.deepEqual(await warningsOf(files), []);
});

test('a Dockerfile that such a file names is proposed, unless another one was chosen or it does not exist', async () => {
  const files = { 'captain-definition': '{"dockerfilePath":"./docker/Prod"}', 'docker/Prod': 'FROM a:1\n' };
  const said =
    /^orkestr does not read captain-definition \(CapRover\)\. .* captain-definition names a Dockerfile: to build it, set "dockerfile": "docker\/Prod" in orkestr\.json\.$/;
  assert.match((await warningsOf(files, NODE)).join(), said);
  assert.match((await warningsOf(files)).join(), said);
  assert.deepEqual(await warningsOf(files, OWN, { dockerfile: 'Dockerfile' }), []);
  assert.deepEqual(await warningsOf({ 'captain-definition': files['captain-definition'] }), []);
  for (const [path, text] of Object.entries({
    'fly.toml': "[build]\n  dockerfile = 'docker/Prod'\n",
    'render.yaml': 'services:\n- dockerfilePath: docker/Prod\n',
    'railway.json': '{"build":{"dockerfilePath":"docker/Prod"}}',
    'config/deploy.yml': 'service: a\nbuilder:\n  dockerfile: docker/Prod\n',
    '.do/app.yaml': 'services:\n- dockerfile_path: docker/Prod\n',
    'heroku.yml': 'build:\n  docker:\n    web: docker/Prod.Dockerfile\n',
  })) {
    const [warning = ''] = await warningsOf({ [path]: text, 'docker/Prod': '', 'docker/Prod.Dockerfile': '' });
    assert.match(warning, /names a Dockerfile: to build it, set "dockerfile": "docker\/Prod/, path);
  }
});

test('the error of a repository with nothing to build names such a file', async () => {
  const { code, message } = await folder.refusal({ 'captain-definition': '{"schemaVersion":2,"imageName":"nginx"}' });
  assert.equal(code, 'ORK_NOTHING_DETECTED');
  assert.match(message, /orkestr does not read captain-definition \(CapRover: image\)/);
});
