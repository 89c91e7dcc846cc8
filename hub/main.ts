#!/usr/bin/env node
/** The hub process: `orkestr-hub serve`, and the operator's commands setup, token, plan, backup and restore. */
import { existsSync } from 'node:fs';
import { Command, InvalidArgumentError } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { OrkestrError, toErrorReport, toProblem } from '../protocol/errors.ts';
import { dialPatiently } from '../protocol/service/dialling.ts';
import { tidyAtFirstRest } from '../protocol/service/tidy.ts';
import { makeLogger } from '../protocol/service/logger.ts';
import { onShutdown } from '../protocol/service/shutdown.ts';
import { makeSupervisor } from '../protocol/service/systemd.ts';
import { forgetOldest, makeBackup, restoreBackup } from './backup/backup.ts';
import { readConfig } from './config.ts';
import { startHub, systemClock } from './hub.ts';
import { PLANS } from './plans.ts';
import { makeAdminToken, setUp } from './setup.ts';
import { prepareState } from './state.ts';
import { type Db, openDatabase } from './store/database.ts';
import { hasAnyUser } from './store/users.ts';
import { changePlan, describePlans, listTeamPlans } from './team-plans.ts';

/** From the first signal to a forced exit, ms. */
const SHUTDOWN_MS = 10_000;

const HELP = `
Examples:
  $ orkestr-hub setup --email you@example.com --team "Your team"
  $ orkestr-hub token
  $ orkestr-hub plan your-team team
  $ orkestr-hub serve
  $ orkestr-hub backup /root/hub.tar.gz
  $ orkestr-hub backup /var/backups/hub --keep 14
  $ orkestr-hub restore /root/hub.tar.gz
  $ ORKESTR_HUB_LISTEN=127.0.0.1:0 ORKESTR_LOG_LEVEL=debug orkestr-hub serve

Environment (on a host set up by install.sh, missing values come from /etc/orkestr/hub.env):
  ORKESTR_HUB_STATE                folder of the database, the keys and the git remotes (default /var/lib/orkestr/hub)
  ORKESTR_HUB_LISTEN               address and port (default 127.0.0.1:7700; with port 0, any free one)
  ORKESTR_HUB_URL                  public URL (default http and the address it listens on)
  ORKESTR_HUB_TRUSTED              addresses and networks of proxies whose X-Forwarded-For is trusted (default none)
  ORKESTR_HUB_ACME_EMAIL           passed to hosts that join, which request certificates with it (default none)
  ORKESTR_APPS_URL                 apps get their domains below this URL (default http://localhost:8080)
  ORKESTR_ALLOW_HTTP_REPOSITORIES  1: external repositories may be fetched without TLS (default 0)
  ORKESTR_HUB_RELEASES             folder of the release that hosts get at /install.sh (default none)
  ORKESTR_HUB_SMTP_URL             mail server for notifications: smtp://HOST:PORT (STARTTLS) or smtps:// (default none)
  ORKESTR_HUB_SMTP_FROM            sender of these mails
  ORKESTR_HUB_SMTP_USER            login at the mail server, with ORKESTR_HUB_SMTP_PASSWORD or
  ORKESTR_HUB_SMTP_PASSWORD_FILE   a file that contains the password
  ORKESTR_HUB_SMTP_PLAIN           1: send mail without TLS, for a relay on the same machine or network (default 0)
  ORKESTR_HUB_NOTIFY_PRIVATE       0: send nothing to addresses of private networks (default 1)
  ORKESTR_HUB_NOTIFY_ALLOW         addresses and networks to allow anyway, comma-separated (default none)
  ORKESTR_HUB_HOST_AWAY_MINUTES    how long a host may be offline before a notification is sent (default 5)
  ORKESTR_LOG_LEVEL                trace, debug, info, warn, error, fatal or silent (default info)`;

async function serve(): Promise<void> {
  const config = readConfig();
  const log = makeLogger('hub', config.logLevel);
  const supervisor = makeSupervisor(config.supervisor, log);
  const hub = await startHub(config, log);
  const { db } = hub.deps;
  // Pings the watchdog only while the event loop turns and the database answers.
  const ping = (): void => {
    hasAnyUser(db).then(
      () => supervisor.watchdog(),
      (error: unknown) => log.error({ err: error }, 'the database does not answer'),
    );
  };
  const watchdog = supervisor.watchdogMs === null ? undefined : setInterval(ping, supervisor.watchdogMs);
  onShutdown(log, SHUTDOWN_MS, async () => {
    supervisor.stopping();
    clearInterval(watchdog);
    await hub.stop();
  });
  log.info({ url: hub.listenUrl, publicUrl: hub.deps.hubUrl(), pid: process.pid }, 'listening');
  if (!(await hasAnyUser(db))) log.warn('nobody can log in yet: run the command setup');
  supervisor.ready(`listening on ${hub.listenUrl}`);
  tidyAtFirstRest();
}

interface SetupOptions {
  readonly email: string;
  readonly team: string;
  readonly json?: true;
}

/** Also works while the hub runs: the database can be shared. */
async function setup({ email, team, json }: SetupOptions): Promise<void> {
  const db = await openDatabase(prepareState(readConfig().stateFolder).database);
  try {
    const account = await setUp(db, systemClock, { email, team });
    process.stdout.write(
      json
        ? `${JSON.stringify(account)}\n`
        : `Team "${account.teamSlug}" is ready. Its admin token, shown only once:\n\n  ${account.token}\n\nLog in with: orkestr login (it asks for the token), or paste it into the console.\n`,
    );
  } finally {
    await db.destroy();
  }
}

/** For an operator who has lost their token. Read access to the hub's state already permits everything. */
async function token({ json }: { readonly json?: true }): Promise<void> {
  const made = await withHub((db) => makeAdminToken(db, systemClock));
  process.stdout.write(`${json ? JSON.stringify({ token: made }) : made}\n`);
}

/** The change applies from the next deployment: a running hub reads the plan each time. */
async function plan(
  team: string | undefined,
  wanted: string | undefined,
  { json }: { readonly json?: true },
): Promise<void> {
  const teams = await withHub(async (db) => {
    if (team !== undefined && wanted !== undefined) await changePlan(db, team, wanted);
    return listTeamPlans(db, team);
  });
  process.stdout.write(json ? `${JSON.stringify({ teams, plans: PLANS })}\n` : describePlans(teams));
}

/** Works with or without a running hub: the database can be shared. */
async function withHub<T>(work: (db: Db) => Promise<T>): Promise<T> {
  const { stateFolder } = readConfig();
  const { database } = prepareState(stateFolder);
  if (!existsSync(database)) {
    throw new OrkestrError('ORK_CONFIG', `ORKESTR_HUB_STATE: there is no hub in ${stateFolder}.`);
  }
  const db = await openDatabase(database);
  try {
    return await work(db);
  } finally {
    await db.destroy();
  }
}

interface BackupOptions {
  readonly keep?: number;
  readonly json?: true;
}

async function backup(target: string, { keep, json }: BackupOptions): Promise<void> {
  const done = await makeBackup(readConfig().stateFolder, target, systemClock.now());
  if (keep !== undefined && done.file !== target) await forgetOldest(done.file, keep);
  // Standard output may be the backup itself.
  if (done.file === '-') return;
  const words = `${done.file}: the hub with ${done.repositories} repositories. It contains the hub's keys: keep it just as safe.`;
  process.stdout.write(`${json ? JSON.stringify(done) : words}\n`);
}

async function restore(
  file: string,
  { replace, json }: { readonly replace?: true; readonly json?: true },
): Promise<void> {
  const how = { replace: replace === true, now: systemClock.now() };
  const { from, previous } = await restoreBackup(readConfig().stateFolder, file, how);
  if (json) return void process.stdout.write(`${JSON.stringify({ at: from.at, version: from.version, previous })}\n`);
  const before = previous === null ? '' : ` The previous hub is in ${previous}.`;
  process.stdout.write(
    `The hub is restored to its state of ${from.at} (orkestr ${from.version}).${before} Start it: hosts reconnect by themselves.\n`,
  );
}

function readKeep(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('A number from 1 to 99999.');
  return Number(text);
}

const program = new Command('orkestr-hub')
  .description('The control plane of orkestr: projects, deployments, hosts, git remote and web console.')
  .version(manifest.version)
  .addHelpText('after', HELP);
program.command('serve').description('run the hub').action(serve);
program
  .command('setup')
  .description('create the first user, their team (plan Pro) and a token with all scopes')
  .requiredOption('--email <email>', 'the user')
  .requiredOption('--team <name>', 'the team')
  .option('--json', 'one JSON object: userId, teamId, teamSlug, token')
  .action(setup);
program
  .command('token')
  .description('create another admin token, if the one of the setup is lost; it is shown only once')
  .option('--json', 'one JSON object: token')
  .action(token);
program
  .command('plan')
  .description('list teams and plans, or move a team to another plan')
  .argument('[team]', 'by its short name')
  .argument('[plan]', Object.keys(PLANS).join(', '))
  .option('--json', 'one JSON object: teams, plans')
  .action(plan);

program
  .command('backup')
  .description('write the whole hub to one file, also while it runs')
  .argument('<file>', 'destination: a file, a folder in which the file gets a name, or - for standard output')
  .option('--keep <number>', 'in a folder: delete the oldest backups and keep this many', readKeep)
  .option('--json', 'one JSON object: file, repositories')
  .action(backup);
program
  .command('restore')
  .description('restore a hub from a backup; the hub must be stopped')
  .argument('<file>', 'the backup file; - is standard input')
  .option('--replace', 'move an existing hub aside')
  .option('--json', 'one JSON object: at, version, previous')
  .action(restore);

dialPatiently();
program.parseAsync().catch((error: unknown) => {
  const { code, detail, mend } = toProblem(toErrorReport(error));
  process.stderr.write(`${code}: ${detail}\n${mend}\n`);
  process.exitCode = 1;
});
