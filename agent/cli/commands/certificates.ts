/** `orkestr-agent certificates`. */
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { RetryRequest } from '../../../protocol/proxy-admin.ts';
import { readConfig } from '../../config.ts';
import { makeProxyClient } from '../../proxy-client/edge-proxy.ts';

const RETRY_HELP = `
Examples:
  $ orkestr-agent certificates retry shop.example.com    # its DNS record is right now
  $ orkestr-agent status                                 # how it went, and what is missing

After a failure a domain waits, up to some days, so that its CA is not asked too often. Many CAs take five failed validations of a
domain in an hour: mend what keeps it first.`;

/** Adds `certificates`. */
export function addCertificatesCommand(cli: Command): void {
  cli
    .command('certificates')
    .description('certificates that the proxy asks a CA for')
    .command('retry <host>')
    .description('ask the CA now for a domain that waits after a failure')
    .addHelpText('after', RETRY_HELP)
    .action(retry);
}

async function retry(given: string): Promise<void> {
  const request = RetryRequest.safeParse({ host: given.toLowerCase().replace(/\.$/, '') });
  if (!request.success) throw new OrkestrError('ORK_INVALID', `${given} is not a valid host name.`);
  const { host } = request.data;
  const { changed } = await makeProxyClient(readConfig().proxySocket).retryCertificate({ host });
  process.stdout.write(
    changed
      ? `The CA is asked for ${host} now. How it goes: orkestr-agent status\n`
      : `${host} does not wait: it has a certificate, or it is its turn. How it is: orkestr-agent status\n`,
  );
}
