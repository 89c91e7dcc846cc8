/** The first three messages of a connection: each side proves its key before anything else is sent. */
import { randomBytes } from 'node:crypto';
import type { AgentMessage, HubMessage } from '../../protocol/agent-link.ts';
import { helloProof, welcomeProof } from '../../protocol/agent-link.ts';
import { OrkestrError } from '../../protocol/errors.ts';
import { isSignedBy } from '../../protocol/signing.ts';
import { isSpoken, OLDEST_PROTOCOL, PROTOCOL_VERSION } from '../../protocol/versions.ts';

export interface Credentials {
  readonly hostId: string;
  /** Pinned at enrolment. */
  readonly hubPublicKey: string;
  sign(text: string): string;
}

export type Welcome = Extract<HubMessage, { type: 'welcome' }>;

export interface Handshake {
  /**
   * Takes the next message of the hub; returns the answer, or the end of the handshake.
   * @throws OrkestrError ORK_SIGNATURE, ORK_PROTOCOL
   */
  take(message: HubMessage): { readonly hello: AgentMessage } | { readonly welcome: Welcome };
}

/** For one connection. `take` also throws the code with which the hub refuses this host. */
export function makeHandshake(
  credentials: Credentials,
  agentVersion: string,
  running: () => readonly string[],
): Handshake {
  const nonce = randomBytes(32).toString('base64url');
  let greeted = false;
  return {
    take(message) {
      if (message.type === 'challenge' && !greeted) {
        greeted = true;
        const { hostId } = credentials;
        const signature = credentials.sign(helloProof(message.nonce, hostId, nonce));
        return {
          hello: {
            type: 'hello',
            protocol: OLDEST_PROTOCOL,
            newest: PROTOCOL_VERSION,
            hostId,
            agentVersion,
            nonce,
            signature,
            running: running().slice(0, 1000),
          },
        };
      }
      if (message.type === 'error')
        throw new OrkestrError(message.code, `The hub refuses this host: ${message.message}`);
      if (message.type !== 'welcome' || !greeted) {
        throw new OrkestrError('ORK_PROTOCOL', `The hub sent ${message.type} in the middle of the handshake.`);
      }
      if (!isSignedBy(welcomeProof(nonce, message.sessionId), message.signature, credentials.hubPublicKey)) {
        throw new OrkestrError(
          'ORK_SIGNATURE',
          'The server that answers is not the hub that this host was enrolled with.',
        );
      }
      if (!isSpoken(message.protocol)) {
        throw new OrkestrError(
          'ORK_PROTOCOL',
          `The hub speaks protocol ${message.protocol}, this agent ${OLDEST_PROTOCOL} to ${PROTOCOL_VERSION}.`,
        );
      }
      return { welcome: message };
    },
  };
}
