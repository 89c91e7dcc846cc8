-- An upstream has several targets.

UPDATE live
SET entry = json_remove(json_set(entry, '$.targets', json_array(json_extract(entry, '$.target'))), '$.target')
WHERE json_type(entry, '$.target') = 'object';
