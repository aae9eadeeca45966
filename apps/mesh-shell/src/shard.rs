//! The threads that carry packets: one per direction and shard, each with its own memory, each run to completion.
//!
//! Nothing is handed from thread to thread but notes for the brain, so that a packet waits for no scheduler.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::Context as _;
use mesh::hop::{Label, Stuck};
use mesh::{Batch, Ecn, Note, PARTS_MAX, PeerId, Plane, Stays, VNET_LEN, Way};
use units::Timestamp;

use crate::clock::Clock;
use crate::inbox::Inbox;
use crate::inlet::Inlet;
use crate::outbox::{Outbox, send_alone};
use crate::pacer::Wake;
use crate::resolver::Resolver;
use crate::showcase::Viewer;
use crate::streams::Streams;
use crate::tun::Tun;
use crate::udp::UdpPort;
use crate::watch::Watch;

/// The longest frame: a header, and what an IP packet may be.
const FRAME_MAX: usize = VNET_LEN + 65_535;
/// What one call may receive.
const RECEIVE_MAX: usize = 65_536;
/// How many frames are read, or receives opened, before what they gave moves on.
const TOGETHER_MAX: usize = 64;

/// After how many looks for nothing a thread looks only now and then whether more is there.
const LOOKS_FOR_NOTHING: u8 = 4;
/// How seldom that is: a burst is seen after so many packets at most.
const LOOK_ONE_IN: u8 = 8;

/// Whether to look for more before waiting: in a conversation nothing ever is there, and each look costs a system call
/// between a packet and the next.
#[derive(Debug, Default)]
struct Hope {
    for_nothing: u8,
    passed: u8,
}

/// What both threads of a shard need.
#[derive(Debug)]
pub(crate) struct Shard {
    pub(crate) tun: Arc<Tun>,
    pub(crate) port: Arc<UdpPort>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) streams: Option<Arc<dyn Streams>>,
    pub(crate) clock: Clock,
    pub(crate) pacer: Wake,
    pub(crate) resolver: Option<Arc<Resolver>>,
    /// How many cores its threads may stay awake on; on one, none does.
    pub(crate) cores: usize,
    /// Whether the threads shall end.
    pub(crate) stop: Arc<AtomicBool>,
}

impl Hope {
    fn is_worth_a_look(&mut self) -> bool {
        self.passed = (self.passed + 1) % LOOK_ONE_IN;
        self.for_nothing < LOOKS_FOR_NOTHING || self.passed == 0
    }

    fn learn(&mut self, found: bool) {
        self.for_nothing = if found { 0 } else { self.for_nothing.saturating_add(1) };
    }
}

impl Shard {
    /// From the device to the network, until stopped.
    ///
    /// A frame that was waited for leaves at once; frames that are there already leave together.
    pub(crate) fn carry_out(&self, mut viewer: Viewer) -> anyhow::Result<()> {
        let mut frame = vec![0; FRAME_MAX].into_boxed_slice();
        let mut outbox = Outbox::new(self.port.clone(), self.streams.clone());
        let (mut hope, mut watch) = (Hope::default(), Watch::new(self.cores));
        while !self.stop.load(Relaxed) {
            let read = |wait| self.tun.read(&mut frame, wait).context("read TUN device");
            let waited_for = watch.wait(self.tun.can_look(), read)?;
            let waited_for = match waited_for {
                Some(len) => self.put(&frame[..len], &mut viewer, &mut outbox).map(|()| true)?,
                None => false,
            };
            if waited_for {
                outbox.send(self.clock.now(), &mut |note| self.note(note));
            }
            if !hope.is_worth_a_look() {
                continue;
            }
            let mut found = 0;
            while found < TOGETHER_MAX
                && let Some(len) = self.tun.read(&mut frame, false).context("read TUN device")?
            {
                self.put(&frame[..len], &mut viewer, &mut outbox)?;
                found += 1;
            }
            hope.learn(found > 0);
            outbox.send(self.clock.now(), &mut |note| self.note(note));
        }
        Ok(())
    }

    /// Seals one frame of the device into the box, or answers it.
    fn put(&self, frame: &[u8], viewer: &mut Viewer, outbox: &mut Outbox) -> anyhow::Result<()> {
        let plane = viewer.look();
        if let Some(answer) = self.resolved(frame) {
            if let Some(answer) = answer {
                self.tun.write(&[IoSlice::new(&[0; VNET_LEN]), IoSlice::new(&answer)])?;
            }
            return Ok(());
        }
        match outbox.put(plane, frame, self.clock.now(), &mut |note| self.note(note)) {
            Some(Stays::TooBig { mtu }) => self.answer_too_big(plane, frame, mtu)?,
            Some(
                Stays::Unread(_)
                | Stays::Unknown
                | Stays::Stopped
                | Stays::NoRoute
                | Stays::Held { .. }
                | Stays::Waits(_),
            )
            | None => {}
        }
        Ok(())
    }

    /// Whether a frame is for the resolver; then what it answers.
    #[inline]
    fn resolved(&self, frame: &[u8]) -> Option<Option<Vec<u8>>> {
        self.resolver.as_ref()?.answer(frame.get(VNET_LEN..)?)
    }

    /// From the network to the device, until stopped.
    ///
    /// What was waited for is delivered at once; what is there already is merged first.
    pub(crate) fn carry_in(&self, viewer: Viewer) -> anyhow::Result<()> {
        let mut inlet = Inlet::new(&self.tun, viewer, 2 * RECEIVE_MAX);
        let (mut hope, mut watch) = (Hope::default(), Watch::new(self.cores));
        while !self.stop.load(Relaxed) {
            let receive = |wait| self.receive(&mut inlet, 0, wait);
            if watch.wait(true, receive)?.is_some() {
                self.deliver(&mut inlet)?;
            }
            if !hope.is_worth_a_look() {
                continue;
            }
            let mut found = false;
            while self.receive_ready(&mut inlet)? && !self.stop.load(Relaxed) {
                self.deliver(&mut inlet)?;
                found = true;
            }
            hope.learn(found);
        }
        Ok(())
    }

    /// Opens all datagrams that are there and fit. False if there were none.
    fn receive_ready(&self, inlet: &mut Inlet) -> anyhow::Result<bool> {
        let mut used = 0;
        for _ in 0..TOGETHER_MAX {
            match self.receive(inlet, used, false)? {
                Some(end) => used = end,
                None => break,
            }
            if used > inlet.buffer.len() - RECEIVE_MAX {
                break;
            }
        }
        Ok(used > 0)
    }

    /// Opens the datagrams of one receive, which lie behind the first `used` bytes; says where they end.
    fn receive(&self, inlet: &mut Inlet, used: usize, wait: bool) -> anyhow::Result<Option<usize>> {
        let place = &mut inlet.buffer[used..used + RECEIVE_MAX];
        let received = self.port.receive(place, wait).context("receive")?;
        let Some(received) = received else { return Ok(None) };
        let end = used + received.len;
        let from = (Way::Direct(received.from), received.ecn);
        self.open(inlet, used..end, received.size, from);
        Ok(Some(end))
    }

    /// Opens datagrams that lie in the inlet's memory.
    pub(crate) fn open(
        &self,
        inlet: &mut Inlet,
        at: Range<usize>,
        size: usize,
        (from, ecn): (Way, Ecn),
    ) {
        let Inlet { buffer, merger, viewer } = inlet;
        let batch = &mut Batch { buffer, at, size, from, ecn };
        let (plane, now) = (viewer.look(), self.clock.now());
        plane.arrive(batch, merger, now, |note| {
            if let Note::Carry { to, label, datagram } = note {
                return self.carry(plane, to, label, datagram, now);
            }
            self.note(note);
        });
    }

    /// Hands on a parcel of another member's. Without a session it is the brain's, which makes one.
    fn carry(&self, plane: &Plane, to: PeerId, label: Label, datagram: Vec<u8>, now: Timestamp) {
        match plane.parcel(to, label, &datagram, now) {
            Ok((way, sealed)) => send_alone(&self.port, self.streams.as_deref(), way, &sealed),
            Err(Stuck::Waits(_)) => self.note(Note::Carry { to, label, datagram }),
            Err(Stuck::Lost) => {}
        }
    }

    /// Writes what was opened to the device.
    pub(crate) fn deliver(&self, inlet: &mut Inlet) -> anyhow::Result<()> {
        let mut written = Ok(());
        inlet.merger.finish(&mut inlet.buffer, |vnet, buffer, parts| {
            if written.is_ok() {
                written = self.write(vnet, buffer, parts);
            }
        });
        written.context("write TUN device")
    }

    fn write(&self, vnet: &[u8], buffer: &[u8], parts: &[Range<usize>]) -> std::io::Result<()> {
        let mut all = [IoSlice::new(&[]); PARTS_MAX + 1];
        all[0] = IoSlice::new(vnet);
        for (slice, part) in all[1..].iter_mut().zip(parts) {
            *slice = IoSlice::new(&buffer[part.clone()]);
        }
        self.tun.write(&all[..=parts.len()])
    }

    /// Tells the sender of the device that its packet is too long.
    fn answer_too_big(&self, plane: &Plane, frame: &[u8], mtu: usize) -> anyhow::Result<()> {
        let Some(answer) = plane.too_big(frame, mtu) else { return Ok(()) };
        let parts = [IoSlice::new(&[0; VNET_LEN]), IoSlice::new(&answer)];
        self.tun.write(&parts).context("write TUN device")
    }

    /// Notes for a brain that is behind are lost; each will be said again by what caused it.
    fn note(&self, note: Note) {
        if note == Note::Stirred {
            return self.pacer.up();
        }
        self.inbox.note(note);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_finds_nothing_looks_seldom_and_who_finds_something_looks_always() {
        let mut hope = Hope::default();
        let mut looks = |packets: usize, found: bool| {
            let look = |_: &usize| {
                let looks = hope.is_worth_a_look();
                if looks {
                    hope.learn(found);
                }
                looks
            };
            (0..packets).filter(look).count()
        };
        let seldom = usize::from(LOOK_ONE_IN);
        assert_eq!(looks(100 * seldom, false), 100 + usize::from(LOOKS_FOR_NOTHING));
        let all = looks(100, true);
        assert!(all > 100 - seldom, "a burst is seen after {seldom} packets: {all}");
    }
}
