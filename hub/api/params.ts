/** Path parameters. Only their length is validated: an unknown name is answered as not found. */
import { z } from 'zod';
import { RegistryHost } from '../../protocol/job.ts';

const reference = z.string().min(1).max(100);

export const IdParams = z.object({ id: reference });
export const ProjectParams = z.object({ project: reference.describe('slug or id') });
/** Naming a registry creates it, so the host is validated. */
export const RegistryParams = ProjectParams.extend({
  host: RegistryHost.describe('registry, e.g. registry.example.com:5000'),
});
export const ReceiverParams = z.object({ receiver: reference.describe('name') });
export const ProjectReceiverParams = ProjectParams.extend(ReceiverParams.shape);
export const EnvironmentParams = ProjectParams.extend({ environment: reference.describe('slug or id') });
