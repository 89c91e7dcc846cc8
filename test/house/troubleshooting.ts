/**
 * docs/troubleshooting.md, generated from the doctor's checks. `node test/house/troubleshooting.ts` writes the file.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Check, ProblemKind } from '../../agent/doctor/check.ts';
import { CHECKS } from '../../agent/doctor/checks/index.ts';
import type { Mend } from '../../agent/doctor/mend-text.ts';
import { LOOKING } from '../../agent/doctor/doctor.ts';
import { ROOT } from '../../installer/stack/stack.ts';

export const TROUBLESHOOTING_FILE = 'docs/troubleshooting.md';

const HEAD = `# Troubleshooting

Use these commands when something is wrong on a host and all you have is a shell:

\`\`\`sh
orkestr-agent status                        # the state of the host, on one screen
orkestr-agent doctor                        # what is wrong, the evidence, and what to do
orkestr-agent doctor hub dns                # these checks only
orkestr-agent doctor --fix                  # fixes what is safe to fix, and reports what it did
orkestr-agent doctor --bundle host.tar.gz   # an archive for support, without secrets
\`\`\`

Both \`status\` and \`doctor\` work without hub, agent and Docker, and finish within 2 s even if one of these hangs. On a
slow host, \`--wait 10\` gives each check 10 s. \`--json\` prints the same for programs. Run both as root: other users
cannot see which process has a port.

The doctor changes nothing unless told to. \`--fix\` corrects file modes and firewall rules; with \`--yes\` it also removes
orkestr's containers and networks that nothing needs. It never restarts Docker and never deletes data. Exit codes: 0
everything is well, 1 something to look at (warn), 2 something to fix (fail).

To read the output of an app on the host, even while hub and agent are down, use
\`orkestr-agent logs --app PROJECT/ENVIRONMENT\` ([observe.md](observe.md)). To see why a deployment failed, use
\`orkestr-agent logs\`.

If an app is live but does not answer, \`orkestr project show\`, or \`orkestr-agent status\` on its host, reports whether
it [keeps running](app-settings.md#a-live-app-that-goes-down), and \`orkestr logs --app\` what it wrote last. While no
agent answers, \`orkestr-agent status\` shows the last deployments from the agent's journal.

If a deployment fails with \`ORK_ROUTE_TAKEN\` although the hub has no other environment with that domain, the hub was
restored from a backup that is older than that environment ([backup.md](backup.md)). \`orkestr-agent remove ENVIRONMENT\`,
with the id shown in the error, removes it from the host.

If an app cannot reach a database on its own host, or its connections to the host's public address time out, that is how
apps are kept in: see [databases](services.md) and
[calls between apps](isolation.md#apps-that-call-each-others-public-addresses).

If a browser reports "too many redirects" for an app or the hub, a CDN in front of it accepts https and sends http
([edge.md](edge.md#behind-a-load-balancer-or-a-cdn)).

The archive of \`--bundle\` contains the doctor's report, the status, the last deployments (ids, states, error codes), the
agent's paths and the last log lines. Known secrets are removed by value, in every form, and so is everything that looks
like a secret. It contains domain names and addresses of visitors: read it before you share it. Short secrets of an app
in a log line, from a deployment that was superseded long ago, cannot be recognized: look for those yourself.

Below, each check is listed with the problems that it can report, under the names that it reports. Words in braces stand
for details in the report. This list is generated from \`agent/doctor/checks/\` by \`test/house/troubleshooting.ts\`; a test
compares both.
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

/** The fix for every kind of host. */
export function mendForAll(mend: Mend): string {
  return typeof mend === 'string' ? mend : `Debian, Ubuntu: ${mend.apt} RHEL and similar: ${mend.dnf}`;
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(join(ROOT, TROUBLESHOOTING_FILE), troubleshootingDocument());
}
