/** `orkestr-agent certificates`. */
import type { Command } from 'commander';
import { OrkestrError } from '../../../protocol/errors.ts';
import { RetryRequest } from '../../../protocol/proxy-admin.ts';
import { readConfig } from '../../config.ts';
import { makeProxyClient } from '../../proxy-client/edge-proxy.ts';

const RETRY_HELP = `
Examples:
  $ orkestr-agent certificates retry shop.example.com    # after its DNS record was corrected
  $ orkestr-agent status                                 # the result, and missing certificates

After a failure, orkestr waits, up to some days, so that it does not ask the CA too often. Many CAs allow five failed validations of a
domain per hour: fix the cause first.`;

/** Adds `certificates`. */
export function addCertificatesCommand(cli: Command): void {
  cli
    .command('certificates')
    .description('certificates that the proxy requests from a CA')
    .command('retry <host>')
    .description('retry a domain now that waits after a failure')
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
      ? `Requesting a certificate for ${host} now. To see the result: orkestr-agent status\n`
      : `${host} is not waiting: it has a certificate, or its request is running. To see its state: orkestr-agent status\n`,
  );
}
