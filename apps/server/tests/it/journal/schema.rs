//! All changes, applied to an empty store, give the committed schema: whoever changes one changes the other.

use std::fs;
use std::path::PathBuf;

use super::place::Place;

#[test]
fn the_changes_give_the_committed_schema_on_sqlite() {
    let place = Place::sqlite();
    drop(place.open());
    let store = rusqlite::Connection::open(place.file().unwrap()).unwrap();
    let sql =
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type DESC, name";
    let mut statement = store.prepare(sql).unwrap();
    let lines = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
    check("sqlite", &lines.map(|line| line.unwrap() + ";\n").collect::<String>());
}

#[test]
fn the_changes_give_the_committed_schema_on_postgres() {
    let place = Place::postgres();
    drop(place.open());
    let sql = "
        SELECT line FROM (
            SELECT relname, 1 AS part, attnum::text AS place,
                format('%s.%s %s%s%s', relname, attname, format_type(atttypid, atttypmod),
                    CASE WHEN attcollation = (SELECT oid FROM pg_collation WHERE collname = 'C')
                        THEN ' COLLATE \"C\"' ELSE '' END,
                    CASE WHEN attnotnull THEN ' NOT NULL' ELSE '' END) AS line
            FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
            WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND attnum > 0
            UNION ALL
            SELECT relname, 2, conname, format('%s: %s %s', relname, conname, pg_get_constraintdef(pg_constraint.oid))
            FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
            WHERE connamespace = current_schema()::regnamespace AND contype <> 'n'
            UNION ALL
            SELECT tablename, 3, indexname, replace(indexdef, schemaname || '.', '')
            FROM pg_indexes WHERE schemaname = current_schema()
        ) AS lines
        ORDER BY relname COLLATE \"C\", part, place COLLATE \"C\"";
    let found = place.client().query(sql, &[]).unwrap();
    let lines = found.iter().map(|row| row.get::<_, String>(0) + "\n");
    check("postgres", &lines.collect::<String>());
}

fn check(engine: &str, found: &str) {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let committed = package.join(format!("src/journal/{engine}/schema.txt"));
    let written = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{engine}-schema.txt"));
    fs::write(&written, found).unwrap();
    let known = fs::read_to_string(&committed).unwrap_or_default();
    let hint = format!("if this is meant: cp {} {}", written.display(), committed.display());
    assert_eq!(found, known, "{hint}");
}
