/** Merges a change into existing settings: JSON Merge Patch (RFC 7396), then validates the result. */
import { Settings } from '../../protocol/job.ts';
import { isJsonObject, type JsonObject } from '../../protocol/json.ts';
import { invalid } from './problem.ts';
import { unknownFields } from './unknown-fields.ts';

/** @throws OrkestrError ORK_INVALID, naming each field that is invalid or unknown. */
export function mergeSettings(settings: Settings, patch: JsonObject): Settings {
  const merged = Settings.safeParse(merge(settings, patch));
  if (!merged.success) {
    throw invalid(merged.error.issues.map(({ path, message }) => `settings.${path.join('.')}: ${message}`));
  }
  const unknown = unknownFields(patch, merged.data, 'settings');
  if (unknown.length > 0) throw invalid(unknown);
  return merged.data;
}

function merge(target: unknown, patch: JsonObject): JsonObject {
  const merged = new Map(Object.entries(isJsonObject(target) ? target : {}));
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name);
    else merged.set(name, isJsonObject(value) ? merge(merged.get(name), value) : value);
  }
  return Object.fromEntries(merged);
}
