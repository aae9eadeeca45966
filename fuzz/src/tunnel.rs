//! What the other end of a line says: cut anywhere, taken by a mux that then has to add up.

use tunnel::{Event, Frame, Hello, Mux, Settings, Side, Welcome};
use units::Timestamp;

const NOW: Timestamp = Timestamp::from_millis(1);

/// The first byte says which end we are and how the rest is cut; the rest comes in after the greeting.
pub fn line(bytes: &[u8]) {
    let Some((how, bytes)) = bytes.split_first() else { return };
    let side = if how % 2 == 0 { Side::Relay } else { Side::Node };
    let mut mux = Mux::new(Settings { side, streams_max: 64 }, NOW);
    let mut wire = Vec::new();
    match side {
        Side::Relay => Frame::Hello(Hello { version: 1, pass: Vec::new() }).write(0, &mut wire),
        Side::Node => Frame::Welcome(Welcome {
            session: [0; 16],
            streams_max: 64,
            observed: ([127, 0, 0, 1], 1).into(),
            time: NOW,
            udp: None,
        })
        .write(0, &mut wire),
    }
    mux.on_bytes(&wire, NOW).expect("a greeting is understood");
    let (mut room, mut out) = ([0; 300], Vec::new());
    for piece in bytes.chunks(usize::from(*how).max(1)) {
        if mux.on_bytes(piece, NOW).is_err() {
            return;
        }
        while let Some(event) = mux.next_event() {
            if let Event::Opened(stream, _) = event {
                mux.accept(stream);
                let _ = mux.send(stream, piece);
            } else if let Event::Readable(stream) = event {
                mux.read(stream, &mut room);
            } else if let Event::Closed(stream, _) = event {
                mux.forget(stream);
            }
        }
        mux.fill(&mut out, 1_000);
        out.clear();
        mux.audit();
    }
}
