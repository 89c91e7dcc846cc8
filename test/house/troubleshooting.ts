/** docs/troubleshooting.md as the doctor's checks have it. `node test/house/troubleshooting.ts` writes the file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Check, ProblemKind } from '../../agent/doctor/check.ts';
import { CHECKS } from '../../agent/doctor/checks/index.ts';
import type { Mend } from '../../agent/doctor/mend-text.ts';
import { LOOKING } from '../../agent/doctor/doctor.ts';
import { ROOT } from '../../installer/stack/stack.ts';

export const TROUBLESHOOTING_FILE = 'docs/troubleshooting.md';

const HEAD = `# Troubleshooting

When something is wrong on a host and only a shell is left:

\`\`\`sh
orkestr-agent status                        # how the host is, on one screen
orkestr-agent doctor                        # what is wrong, how that is known, and what to do
orkestr-agent doctor hub dns                # these checks only
orkestr-agent doctor --fix                  # mends what is safe to mend, and says what it did
orkestr-agent doctor --bundle host.tar.gz   # an archive for support, without secrets
\`\`\`

Both need neither hub nor agent nor Docker, and end within 2 s also when one of them hangs. The doctor changes nothing unless
told to. \`--fix\` mends file modes and firewall rules; with \`--yes\` it also removes containers and networks of ours that
nothing needs. It never restarts Docker and never deletes data. Exit codes: 0 all is well, 1 something to look at (warn),
2 something to mend (fail). \`--json\` has the same for programs; on a slow host \`--wait 10\` gives each check 10 s (\`status\` has
it, too). Run it as root: others cannot see whose a port is.

What an app writes is read on the host by \`orkestr-agent logs --app PROJECT/ENVIRONMENT\`, also when hub and agent are away
([observe.md](observe.md)); why a deployment failed, by \`orkestr-agent logs\`.

A deployment that fails with \`ORK_ROUTE_TAKEN\` though the hub has no other environment at that domain: the hub was put back from a
backup that is older than that environment ([backup.md](backup.md)). \`orkestr-agent remove ENVIRONMENT\`, with the id that stands
in the error, takes it off the host.

The archive of \`--bundle\` holds the doctor's report, the status, the last deployments (ids, states, error codes), the
agent's paths and the last log lines. Known secrets are taken out by value, in every form; what looks like one is, too.
Names of domains and addresses of visitors are in it: read it before you give it away. An app's own short secrets in a log
line, of a deployment that was superseded long ago, can be told by nobody: look for those.

Each check is listed with what it may find, under the name that it is reported by. Words in braces stand for what the
report names. Made from \`agent/doctor/checks/\` by \`test/house/troubleshooting.ts\`; a test compares both.
`;

const TAIL = `
## Any check

${tableOf('any check', LOOKING)}
`;

export const troubleshootingDocument = (): string => HEAD + CHECKS.map(sectionOf).join('') + TAIL;

function sectionOf({ name, about, problems }: Check): string {
  return `\n## ${name}\n\n${about}\n\n${tableOf(name, problems)}\n`;
}

function tableOf(check: string, problems: Readonly<Record<string, ProblemKind>>): string {
  const rows = Object.entries(problems).map(([problem, { level, says, mend, fix }]) => {
    const by = { safe: ' Also: `--fix`.', confirmed: ' Also: `--fix --yes`.' };
    const cells = [`\`${check}/${problem}\``, level, says, mendForAll(mend) + (fix === undefined ? '' : by[fix])];
    return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  });
  return ['| name | level | what is wrong | mend |', '|---|---|---|---|', ...rows].join('\n');
}

/** For every kind of host. */
export function mendForAll(mend: Mend): string {
  return typeof mend === 'string' ? mend : `Debian, Ubuntu: ${mend.apt} RHEL and its like: ${mend.dnf}`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(ROOT, TROUBLESHOOTING_FILE), troubleshootingDocument());
}
