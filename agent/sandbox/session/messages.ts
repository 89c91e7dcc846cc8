/**
 * The messages of a build session: moby/buildkit session/secrets/secrets.proto and session/auth/auth.proto, and the
 * gRPC health checking protocol. Only the fields in use; the decoder skips all others.
 */
import type protobuf from 'protobufjs';

const SCHEMA: protobuf.INamespace = {
  nested: {
    SecretRequest: { fields: { id: { type: 'string', id: 1 } } },
    SecretAnswer: { fields: { data: { type: 'bytes', id: 1 } } },
    LoginRequest: { fields: { host: { type: 'string', id: 1 } } },
    LoginAnswer: { fields: { username: { type: 'string', id: 1 }, secret: { type: 'string', id: 2 } } },
    HealthAnswer: { fields: { status: { type: 'int32', id: 1 } } },
  },
};

export interface SessionMessages {
  readSecretRequest(bytes: Uint8Array): { readonly id: string };
  writeSecretAnswer(message: { readonly data: Uint8Array }): Uint8Array;
  readLoginRequest(bytes: Uint8Array): { readonly host: string };
  writeLoginAnswer(message: { readonly username: string; readonly secret: string }): Uint8Array;
  writeHealthAnswer(message: { readonly status: number }): Uint8Array;
}

/** Loads protobufjs only now, for the first build that needs a session. */
export async function loadMessages(): Promise<SessionMessages> {
  const { default: library } = await import('protobufjs/light.js');
  const root = library.Root.fromJSON(SCHEMA);
  const reader =
    <T>(name: string) =>
    (bytes: Uint8Array): T => {
      const type = root.lookupType(name);
      return type.toObject(type.decode(bytes), { defaults: true }) as T;
    };
  const writer =
    (name: string) =>
    (message: object): Uint8Array => {
      const type = root.lookupType(name);
      return type.encode(type.create(message)).finish();
    };
  return {
    readSecretRequest: reader('SecretRequest'),
    writeSecretAnswer: writer('SecretAnswer'),
    readLoginRequest: reader('LoginRequest'),
    writeLoginAnswer: writer('LoginAnswer'),
    writeHealthAnswer: writer('HealthAnswer'),
  };
}
