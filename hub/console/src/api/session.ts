/** Who is logged in. Made once in main.tsx; pages reach it by `useSession`. */
import { signal } from '@preact/signals';
import type { ReadonlySignal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import type { Me, Scope } from '../../../api/schemas.ts';
import { ApiError, call } from './client.ts';

type State =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'out' }
  | { readonly kind: 'unreachable'; readonly error: ApiError }
  | { readonly kind: 'in'; readonly me: Me };

export interface Session {
  readonly state: ReadonlySignal<State>;
  /** Finds out whether the browser holds a session that the hub knows. */
  readonly find: () => Promise<void>;
  /** @throws ApiError when the token is refused. */
  readonly logIn: (token: string) => Promise<void>;
  readonly logOut: () => Promise<void>;
  /** The hub no longer knows the session: show the login. */
  readonly forget: () => void;
}

export function makeSession(): Session {
  const state = signal<State>({ kind: 'unknown' });
  const find = async (): Promise<void> => {
    try {
      state.value = { kind: 'in', me: await call<Me>('GET', '/me') };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      state.value = error.status === 401 ? { kind: 'out' } : { kind: 'unreachable', error };
    }
  };
  const forget = (): void => {
    state.value = { kind: 'out' };
  };
  return {
    state,
    find,
    forget,
    async logIn(token) {
      await call('POST', '/session', { token });
      await find();
    },
    async logOut() {
      await call('DELETE', '/session');
      forget();
    },
  };
}

export const SessionContext = createContext<Session | undefined>(undefined);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === undefined) throw new Error('A page was rendered outside of the application.');
  return session;
}

/** Whether who is logged in may do what needs this scope. The hub decides; this spares buttons that it would refuse. */
export function useScope(scope: Scope): boolean {
  const state = useSession().state.value;
  return state.kind === 'in' && state.me.scopes.includes(scope);
}
