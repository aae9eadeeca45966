//! A `PostgreSQL` server of our own for the tests: started when first asked for, gone with the test process.
//!
//! It listens on a socket in its own folder and nowhere else. A small shell waits for the test process to end,
//! however it ends; then it stops the server and deletes the folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Finds the programs, makes a cluster in folder `$1`, says `ready`, and waits for the end of its input. Lines that
/// come before the end are commands: `crash` kills the server as a loss of power would and starts it again.
const KEEPER: &str = r#"
folder=$1
bin=$(command -v initdb || ls -d /usr/lib/postgresql/*/bin/initdb 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || { echo missing; exit 1; }
bin=$(dirname "$bin")
as=
if [ "$(id -u)" = 0 ]; then
    chown postgres "$folder"
    as="setpriv --reuid=postgres --regid=postgres --clear-groups"
fi
cd "$folder"
start() {
    $as "$bin/postgres" -D data -k "$folder" -c listen_addresses= -c max_connections=50 \
        -c shared_buffers=32MB >>server.log 2>&1 </dev/null &
    server=$!
    tries=0
    until grep -q '^ready' data/postmaster.pid 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] && kill -0 $server 2>/dev/null || { cat server.log >&2; echo failed; exit 1; }
        sleep 0.05
    done
}
end() {
    kill -QUIT $server 2>/dev/null
    wait $server 2>/dev/null
    rm -f data/postmaster.pid
}
$as "$bin/initdb" -D data -A trust -U postgres -E UTF8 --locale=C --no-sync --wal-segsize=1 \
    >initdb.log 2>&1 </dev/null || { cat initdb.log >&2; echo failed; exit 1; }
start
echo ready
while read -r command; do
    [ "$command" = crash ] && end && start
    echo ready
done
end
cd / && rm -rf "$folder"
"#;

const HOW_TO_INSTALL: &str = "the tests need PostgreSQL's server programs: \
                              `apt-get install postgresql`, or put initdb on the PATH";

/// A running server.
pub(crate) struct Cluster {
    folder: PathBuf,
    schemas: AtomicU32,
    keeper: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Cluster {
    /// The server that the tests of this process share, each with a schema of its own.
    pub(crate) fn shared() -> &'static Cluster {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Cluster::start("shared"))
    }

    /// A server of one's own, to be killed.
    pub(crate) fn start(name: &str) -> Cluster {
        let folder = std::env::temp_dir().join(format!("iog-pg-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("make a folder for PostgreSQL");
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("start a shell");
        let answers = BufReader::new(keeper.stdout.take().expect("its output is piped"));
        let mut cluster = Cluster { folder, schemas: AtomicU32::new(0), keeper, answers };
        cluster.wait_until_ready();
        cluster
    }

    /// An address with a schema that nobody else uses.
    pub(crate) fn fresh_address(&self) -> String {
        let schema = format!("test_{}", self.schemas.fetch_add(1, Ordering::Relaxed));
        format!("{}&schema={schema}", self.address())
    }

    /// The address of the database, without a schema.
    pub(crate) fn address(&self) -> String {
        let host = self.folder.to_string_lossy().replace('/', "%2F");
        format!("postgres://postgres@{host}/postgres?application_name=test")
    }

    /// Kills the server without letting it finish anything, and starts it again.
    pub(crate) fn crash(&mut self) {
        use std::io::Write;
        let orders = self.keeper.stdin.as_mut().expect("its input is piped");
        orders.write_all(b"crash\n").expect("tell the keeper");
        self.wait_until_ready();
    }

    fn wait_until_ready(&mut self) {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("hear from the keeper");
        assert_ne!(answer.trim(), "missing", "{HOW_TO_INSTALL}");
        assert_eq!(answer.trim(), "ready", "PostgreSQL did not start; its log is above");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        self.keeper.wait().expect("the keeper ends when its input does");
    }
}
