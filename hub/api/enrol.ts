/** Enrols a host: exchanges its one-time join token for an identity, the public half of its own key. */
import { EnrolAnswer, EnrolRequest } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { readPublicKey } from '../../protocol/signing.ts';
import { publicRoute } from '../auth/hook.ts';
import { hashSecretToken } from '../auth/secret-token.ts';
import type { HubApp, HubDeps } from '../deps.ts';
import { forgetDownOfHost } from '../store/down-apps.ts';
import { enrolHost } from '../store/hosts.ts';
import { invalid } from './problem.ts';
import { guessLimit } from './rate-limit.ts';

export function registerEnrol(app: HubApp, { db, clock, log, agents, hubKey }: HubDeps): void {
  app.post(
    '/enrol',
    {
      config: { ...publicRoute.config, ...guessLimit },
      schema: {
        summary: 'Enrol a host with its join token',
        description:
          'Uses up the token. A repeated request with the same token and key gets the same answer until the token expires.',
        tags: ['hosts'],
        body: EnrolRequest,
        response: { 200: EnrolAnswer },
      },
    },
    async (request) => {
      const { joinToken, name, publicKey } = request.body;
      const key = readPublicKey(publicKey);
      if (key === undefined) throw invalid(['body.publicKey: not the PEM of an ed25519 public key']);
      const enrolled = await enrolHost(db, {
        tokenHash: hashSecretToken(joinToken),
        // Normalized, so that the same key is always the same text.
        publicKey: key.export({ type: 'spki', format: 'pem' }).toString(),
        now: clock.now().toISOString(),
      });
      if (enrolled === undefined) {
        throw new OrkestrError('ORK_JOIN_TOKEN', 'The join token is unknown, used up or expired.');
      }
      // End a session of the previous key, which no longer belongs to this host.
      if (enrolled.first) agents.disconnect(enrolled.hostId);
      // What was known of the apps of the machine before: nothing runs on this one yet, so none of them is back.
      if (enrolled.first) await forgetDownOfHost(db, enrolled.hostId);
      log.info({ hostId: enrolled.hostId, machine: name, again: !enrolled.first }, 'host enrolled');
      return { hostId: enrolled.hostId, hubPublicKey: hubKey.publicKey };
    },
  );
}
