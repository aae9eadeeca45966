//! What a machine must have, as the parameters say, and what was measured of it.

use control::{Actor, Command, ConnectionRecord, Control};
use units::WorkerId;
use wire::{Requirements, SpeedView};

use crate::app::App;
use crate::writer::Failure;

/// Mebibytes in a gibibyte.
const GIB: u64 = 1024;

/// What the network asks of machines. What it does not ask for is only recommended.
pub(crate) fn requirements(state: &Control) -> Requirements {
    let rules = &state.parameters().onboarding;
    let usual = Requirements::default();
    if !rules.required {
        return Requirements {
            vcpus: 1,
            memory_mib: 0,
            memory_recommended_mib: 0,
            disk_mib: 0,
            down_mbps: 0,
            up_mbps: 0,
            pending_minutes: 0,
            trials: 0,
            cuda: rules.cuda_min.to_string(),
            gpus_max: rules.gpus_max,
            ..usual
        };
    }
    let (down, up) = match rules.connection_required {
        true => (rules.down_mbps_min, rules.up_mbps_min),
        false => (0, 0),
    };
    Requirements {
        memory_mib: rules.memory_mib_min,
        memory_recommended_mib: usual.memory_recommended_mib.max(rules.memory_mib_min),
        disk_mib: rules.disk_gib_min * GIB,
        gpus_max: rules.gpus_max,
        cuda: rules.cuda_min.to_string(),
        down_mbps: down,
        up_mbps: up,
        down_recommended_mbps: usual.down_recommended_mbps.max(down),
        up_recommended_mbps: usual.up_recommended_mbps.max(up),
        pending_minutes: rules.pending_minutes,
        trials: u32::from(rules.trial_required),
        ..usual
    }
}

/// Tells the brain how a machine is connected.
pub(crate) async fn note_speed(
    app: &App,
    worker: WorkerId,
    speed: SpeedView,
) -> Result<(), Failure> {
    let SpeedView { at, down_mbps, up_mbps, ping_ms, .. } = speed;
    let connection = ConnectionRecord { at: at.0, down_mbps, up_mbps, ping_ms };
    let command = Command::MeasureConnection { worker, connection };
    app.writer.tell_as(Actor::Clock, command).await.map(drop)
}
