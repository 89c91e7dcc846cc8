/** `environment create|show|set|delete`: where and how a branch of a project runs. */
import type { Command } from 'commander';
import { Environment } from '../../api/schemas.ts';
import { OrkestrError } from '../../../protocol/errors.ts';
import { apiPath } from '../../api/paths.ts';
import { showFailingCertificates } from '../certificates.ts';
import { action, collect, group, leaf } from '../command.ts';
import type { AddCommands } from '../command.ts';
import type { Context } from '../context.ts';
import { showDownApps } from '../down-apps.ts';
import type { Output } from '../output.ts';
import { showWhatIsActive, untilAnswered } from '../edge-change.ts';
import { hostOption } from '../hosts.ts';
import { projectName } from '../place.ts';
import { settingsOf, withDomains } from '../settings.ts';
import type { SettingOptions } from '../settings.ts';
import { edgeStateText } from '../text/edge-state.ts';
import { NO_DOMAIN } from '../text/no-domain.ts';
import { settingsLines } from '../text/settings-lines.ts';

type Options = SettingOptions & {
  json?: boolean;
  project?: string;
  branch?: string;
  host?: string;
  yes?: boolean;
  addDomain?: string[];
};

export const addEnvironmentCommands: AddCommands = (program, context, outcome) => {
  const environment = group(program, 'environment', 'Environments: branch, domains, limits, health check.');

  const create = withSettings(
    leaf(environment, 'create <name>', 'Add an environment to a project.', [
      'orkestr environment create staging --project shop --branch develop',
      'orkestr environment create staging --branch develop --memory 256 --health-path /healthz',
      `orkestr environment create worker --project shop --worker --start 'bundle exec sidekiq'    # no port, no domain`,
    ]).option('--host <host>', 'host that runs it, by name or id (default: the only one)'),
  );
  action<Options>(create, context, outcome, async (output, options, [slug]) => {
    const path = apiPath('projects', await projectName(context, options.project), 'environments');
    const hostId = await hostOption(context, options.host);
    const body = { slug, branch: options.branch, hostId, settings: settingsOf(options) };
    show(output, await context.hub().post(path, body, Environment), options);
  });

  const display = withProject(
    leaf(environment, 'show [name]', 'Show an environment with all its settings (default: production).', [
      'orkestr environment show staging --project shop',
    ]),
  );
  action<Options>(display, context, outcome, async (output, options, [slug]) => {
    show(output, await context.hub().get(await pathOf(context, options, slug), Environment), options);
  });

  const set = withSettings(
    leaf(
      environment,
      'set [name]',
      'Change settings (default: of production). Domains and edge settings apply at once.',
      [
        'orkestr environment set --memory 1024 --cpus 2',
        'orkestr environment set staging --health-path /healthz --domain staging.example.com',
        'orkestr environment set --setting drainSeconds=60 --setting build.memoryMiB=2048',
        `orkestr environment set --setting 'healthCheck={"kind":"tcp"}' --setting port=null    # null: the default`,
        'orkestr environment set --add-domain www.example.com    # in addition to the existing ones',
        "orkestr environment set --domain '*.example.com' --domain example.com/shop --strip-prefix",
        'orkestr environment set --setting edge.compression=true --setting edge.ratePerClient.requests=20',
        `orkestr environment set preview --setting 'edge.allowFrom=["203.0.113.0/24"]'    # docs/edge.md has all of edge`,
        'orkestr environment set --setting registry=registry.example.com/team/shop    # push what is built; docs/registry.md',
        `orkestr environment set --setting 'buildHosts=["registry.example.com","*.example.org"]'    # docs/isolation.md`,
      ],
    ),
  ).option('--add-domain <host[/path]>', 'additional domain; may be repeated', collect);
  action<Options>(set, context, outcome, async (output, options, [slug]) => {
    const given = settingsOf(options);
    if (options.branch === undefined && options.addDomain === undefined && Object.keys(given).length === 0) {
      throw new OrkestrError('ORK_INVALID', 'Nothing to change: give at least one option.');
    }
    const path = await pathOf(context, options, slug);
    const changes = { ...given, ...(await domainsWith(context, path, options, given)) };
    // The hub merges the changes into the settings (JSON Merge Patch, RFC 7396): null resets one to its default.
    const body = { branch: options.branch, settings: changes };
    const changed = await context.hub().patch(path, body, Environment);
    const environment = await untilAnswered(context, path, changed);
    show(output, environment, options);
    showWhatIsActive(output, environment, {
      ...(options.branch !== undefined && { branch: options.branch }),
      ...changes,
    });
  });

  const remove = withProject(
    leaf(environment, 'delete <name>', 'Delete an environment: stops its app and deletes its history.', [
      'orkestr environment delete staging --project shop --yes',
    ]).option('--yes', 'really delete it'),
  );
  action<Options>(remove, context, outcome, async (output, options, [slug]) => {
    if (!options.yes) {
      throw new OrkestrError('ORK_INVALID', `This stops the app of ${slug} and removes its history. Add --yes.`);
    }
    await context.hub().delete(await pathOf(context, options, slug));
    output.object({ deleted: slug });
    output.line(`Deleted ${slug}. Its host removes the app now, or when it reconnects.`);
  });
};

const withProject = (command: Command): Command =>
  command.option('-p, --project <name>', "project (default: that of this folder's git remote `orkestr`)");

const withSettings = (command: Command): Command =>
  withProject(command)
    .option('--branch <name>', 'branch that is deployed')
    .option(
      '--domain <host[/path]>',
      "domain of the app, also '*.example.com'; may be repeated; replaces the existing domains",
      collect,
    )
    .option('--strip-prefix', 'remove the path of the domain before requests reach the app')
    .option('--port <number>', 'port the app listens on')
    .option('--root <folder>', 'folder of the app inside the repository')
    .option('--start <command>', 'start command')
    .option('--memory <MiB>', 'memory limit of the app')
    .option('--cpus <number>', 'CPU limit of the app')
    .option('--health-path <path>', 'health check: HTTP GET of this path')
    .option('--worker', 'a background worker: it has no port and no domain, and only has to run')
    .option('--setting <path=value>', 'any setting; the value is JSON, otherwise text; may be repeated', collect);

const pathOf = async (context: Context, options: Options, slug = 'production'): Promise<string> =>
  apiPath('projects', await projectName(context, options.project), 'environments', slug);

/** The hub replaces lists as a whole, so send the existing domains along with the added ones. */
async function domainsWith(
  context: Context,
  path: string,
  options: Options,
  given: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  if (options.addDomain === undefined) return {};
  if ('domains' in given) {
    throw new OrkestrError(
      'ORK_INVALID',
      '--add-domain keeps the existing domains: do not give others with it, nor --worker.',
    );
  }
  const { settings } = await context.hub().get(path, Environment);
  return { domains: withDomains(settings.domains, options.addDomain, options) };
}

function show(output: Output, environment: Environment, { project }: Options): void {
  output.object(environment);
  const { settings } = environment;
  output.fields([
    ['environment', environment.slug],
    ['branch', environment.branch],
    ['urls', environment.urls.join(' ') || NO_DOMAIN],
    ['live', environment.liveDeploymentId ?? 'nothing yet'],
    ['host', environment.hostId],
    ['edge', edgeStateText(environment)],
    ...settingsLines(settings),
  ]);
  showDownApps(output, [environment], project);
  showFailingCertificates(output, [environment]);
}
