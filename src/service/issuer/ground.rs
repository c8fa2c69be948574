//! On what ground: by template and variables, or the claim itself where the agent's workspace may; and whether it was
//! withdrawn since.

use super::{Issuer, LegRequest};
use crate::domain::id::WorkspaceId;
use crate::domain::leg::{GroundDefect, Leg, LegGround};
use crate::domain::policy::Bundle;
use crate::domain::time::Timestamp;
use crate::service::refusal::{Code, Refusal};

impl Issuer {
    pub(super) fn ground(
        &self,
        bundle: &Bundle,
        workspace: &WorkspaceId,
        leg: LegRequest,
        now: Timestamp,
    ) -> Result<LegGround, Refusal> {
        let refused = |detail: String| lacks_ground(Refusal::new(Code::LegRefused, detail.clone()).at("/leg", detail));
        let ground = match leg {
            LegRequest::Template { template, vars } => {
                let template = bundle.templates().find(&template).map_err(|error| refused(error.to_string()))?;
                let bound = template.bind(&vars, self.ports.commit.as_deref());
                bound.map_err(|error| refused(error.to_string()))?
            }
            LegRequest::Bound(ground) => {
                // Bound from a template before; its variables are not kept. It stands while that very template does.
                bundle.templates().holds(ground.as_leg(), now).map_err(|defect| ground_refused(&defect))?;
                *ground
            }
            LegRequest::Claim(_) if !bundle.workspace(workspace).free_form_leg => {
                let detail = "this workspace takes legal grounds by template only";
                let refusal = Refusal::because(Code::LegRefused, "free_form_leg", detail);
                return Err(lacks_ground(refusal.at("/leg", detail)));
            }
            LegRequest::Claim(ground) => {
                bundle.templates().admit(&ground, now).map_err(|defect| ground_refused(&defect))?;
                *ground
            }
        };
        self.not_withdrawn(ground.as_leg())?;
        Ok(ground)
    }

    /// A ground that was withdrawn yields no mandate, whoever agreed before.
    pub(super) fn not_withdrawn(&self, leg: &Leg) -> Result<(), Refusal> {
        self.ports.withdrawn.check(leg).map_err(|defect| ground_refused(&defect))
    }
}

pub(super) fn ground_refused(defect: &GroundDefect) -> Refusal {
    let detail = defect.to_string();
    let refusal = Refusal::because(Code::LegRefused, defect.code(), detail.clone());
    lacks_ground(refusal.at(format!("/leg{}", defect.pointer()), detail))
}

/// Another ground would help.
fn lacks_ground(refusal: Refusal) -> Refusal {
    refusal.missing(vec!["ground".to_owned()], None)
}
