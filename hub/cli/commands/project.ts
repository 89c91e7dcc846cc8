/** `project create|list|show|set|delete`. */
import { Option } from 'commander';
import { z } from 'zod';
import { Project } from '../../api/schemas.ts';
import type { Environment } from '../../api/schemas.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { apiPath } from '../../api/paths.ts';
import { showFailingCertificates } from '../certificates.ts';
import { action, collect, group, leaf } from '../command.ts';
import type { AddCommands } from '../command.ts';
import { showDownApps } from '../down-apps.ts';
import type { Context } from '../context.ts';
import { readSecret } from '../input.ts';
import { settingsOf } from '../settings.ts';
import type { Output } from '../output.ts';
import { hostOption } from '../hosts.ts';
import { projectName } from '../place.ts';
import { servesText } from '../text/down-line.ts';
import { formatAge } from '../text/format.ts';
import { NO_DOMAIN } from '../text/no-domain.ts';

interface RepositoryOptions {
  json?: boolean;
  repository?: string;
  repositoryUser?: string;
  repositoryTokenStdin?: boolean;
}

interface CreateOptions extends RepositoryOptions {
  branch?: string;
  root?: string;
  port?: string;
  domain?: string[];
  start?: string;
  worker?: boolean;
  host?: string;
}

interface SetOptions extends RepositoryOptions {
  /** False: `--no-repository-token`. */
  repositoryToken: boolean;
}

interface RepositoryAuth {
  readonly username: string | undefined;
  readonly token: string;
}

export const addProjectCommands: AddCommands = (program, context, outcome) => {
  const project = group(program, 'project', 'Projects: one repository each, with its environments.');

  const create = leaf(project, 'create <name>', 'Create a project with its environment `production`.', [
    'orkestr project create shop',
    'orkestr project create shop --branch release --root apps/web --domain shop.example.com',
    "orkestr project create bot --worker --start 'python bot.py'    # no port, no domain",
    'orkestr project create shop --repository https://git.example.com/team/shop.git --repository-token-stdin < token',
  ])
    .option('--repository <url>', "an https repository elsewhere, instead of the hub's own git remote")
    .option('--repository-user <name>', 'user name for the repository token')
    .option('--repository-token-stdin', 'read a token that may read the repository from stdin, or ask for it')
    .option('--branch <name>', 'branch that is deployed (default: main)')
    .option('--root <folder>', 'folder of the app inside the repository')
    .option('--port <number>', 'port the app listens on (default: detected, and passed as $PORT)')
    .option('--domain <host>', 'domain of the app; may be repeated', collect)
    .option('--start <command>', 'start command')
    .option('--worker', 'a background worker: it has no port and no domain, and only has to run')
    .option('--host <host>', 'host that runs it, by name or id (default: the only one)');
  action<CreateOptions>(create, context, outcome, async (output, options, [name]) => {
    if (options.repositoryTokenStdin && options.repository === undefined) {
      throw new OrkestrError('ORK_INVALID', '--repository-token-stdin needs --repository.');
    }
    const auth = await repositoryAuth(context, options);
    const hostId = await hostOption(context, options.host);
    const body = newProject(String(name), options, { auth, hostId });
    const made = await context.hub().post('/projects', body, Project);
    output.object(made);
    showNextSteps(output, made);
  });

  const list = leaf(project, 'list', 'List the projects with their live deployments.', ['orkestr project list']);
  action(list, context, outcome, async (output) => {
    const projects = await context.hub().get('/projects', z.array(Project));
    output.object({ projects });
    if (projects.length === 0) output.line('No projects yet. Create one: orkestr project create NAME');
    else output.table(['PROJECT', 'ENVIRONMENT', 'BRANCH', 'SERVES', 'URL'], projects.flatMap(projectRows));
  });

  const show = leaf(project, 'show [name]', 'Show a project (default: that of this folder).', [
    'orkestr project show shop',
    'cd shop && orkestr project show',
  ]);
  action(show, context, outcome, async (output, _options, [name]) => {
    const found = await context.hub().get(apiPath('projects', await projectName(context, name)), Project);
    output.object(found);
    output.fields([
      ['project', found.slug],
      ['id', found.id],
      ['git remote', found.gitRemote],
      ['repository', found.repositoryUrl],
      ['read with', found.repositoryUrl && (found.hasRepositoryToken ? 'a token' : 'no token')],
      ['created', formatAge(found.createdAt, context.now())],
    ]);
    output.line();
    output.table(['PROJECT', 'ENVIRONMENT', 'BRANCH', 'SERVES', 'URL'], projectRows(found));
    showDownApps(output, found.environments, found.slug);
    showFailingCertificates(output, found.environments);
  });

  const set = leaf(
    project,
    'set <name>',
    'Change the repository of a project whose code is hosted elsewhere, or the token that reads it.',
    [
      'orkestr project set blog --repository-token-stdin < token    # the previous token has expired or leaked',
      'orkestr project set blog --repository https://git.example.com/team/blog.git --repository-token-stdin < token',
      'orkestr project set blog --no-repository-token    # the repository is public',
    ],
  )
    .option('--repository <url>', 'the new repository, at an https address')
    .option('--repository-user <name>', 'user name for the repository token')
    .option('--repository-token-stdin', 'read a token that may read the repository from stdin, or ask for it')
    .addOption(
      new Option('--no-repository-token', 'read the repository without a token, and delete the stored one').conflicts([
        'repositoryUser',
        'repositoryTokenStdin',
      ]),
    );
  action<SetOptions>(set, context, outcome, async (output, options, [name]) => {
    const auth = options.repositoryToken ? await repositoryAuth(context, options) : null;
    if (options.repository === undefined && auth === undefined) {
      throw new OrkestrError('ORK_INVALID', 'Nothing to change: give at least one option.');
    }
    const body = { repository: { url: options.repository, auth } };
    const changed = await context.hub().patch(apiPath('projects', String(name)), body, Project);
    output.object(changed);
    const how = changed.hasRepositoryToken ? 'with a token' : 'without a token';
    output.line(`The next deployment reads ${changed.repositoryUrl} ${how}:  orkestr deploy --project ${changed.slug}`);
  });

  const remove = leaf(project, 'delete <name>', 'Delete a project: stops its apps and deletes its history.', [
    'orkestr project delete shop --yes',
  ]).option('--yes', 'really delete it');
  action<{ json?: boolean; yes?: boolean }>(remove, context, outcome, async (output, options, [name]) => {
    if (!options.yes) {
      throw new OrkestrError('ORK_INVALID', `This stops every app of ${name} and removes its history. Add --yes.`);
    }
    await context.hub().delete(apiPath('projects', String(name)));
    output.object({ deleted: name });
    output.line(`Deleted ${name}. Its hosts remove the apps now, or when they reconnect.`);
  });
};

/** Undefined: no token was given. */
async function repositoryAuth(context: Context, options: RepositoryOptions): Promise<RepositoryAuth | undefined> {
  if (options.repositoryTokenStdin) {
    const token = await readSecret(context.terminal, 'Token of the repository: ');
    return { username: options.repositoryUser, token };
  }
  if (options.repositoryUser === undefined) return undefined;
  throw new OrkestrError('ORK_INVALID', '--repository-user needs a token: add --repository-token-stdin.');
}

/** The body of POST /projects. Absent options are left out, so that the hub's defaults apply. */
function newProject(
  slug: string,
  options: CreateOptions,
  { auth, hostId }: { readonly auth: RepositoryAuth | undefined; readonly hostId: string | undefined },
): object {
  return {
    slug,
    repository: options.repository === undefined ? undefined : { url: options.repository, auth },
    environment: {
      slug: 'production',
      branch: options.branch,
      hostId,
      settings: settingsOf(options),
    },
  };
}

function showNextSteps(output: Output, project: Project): void {
  const [environment] = project.environments;
  output.line(`Created ${output.style('bold', project.slug)}.`);
  output.line();
  if (environment) showAddress(output, environment);
  if (project.gitRemote === null) {
    output.line(`Deploy it:  orkestr deploy --project ${project.slug}`);
    return;
  }
  output.line(`Git remote:  ${project.gitRemote}`);
  output.line();
  output.line('In your repository:');
  output.line(`  git remote add orkestr ${project.gitRemote}`);
  output.line(`  git push orkestr HEAD:${environment?.branch ?? 'main'}`);
  output.line();
  output.line('When git asks, enter any user name, and an API token with the scope `git` as the password.');
  output.line('To remember it:  git config credential.helper cache   (in memory; `store` keeps it in a plain file)');
}

function showAddress(output: Output, environment: Environment): void {
  for (const url of environment.urls) output.line(`Will be available at:  ${url}`);
}

const projectRows = (project: Project): string[][] =>
  project.environments.map((environment) => [
    project.slug,
    environment.slug,
    environment.branch,
    servesText(environment),
    environment.urls[0] ?? NO_DOMAIN,
  ]);
