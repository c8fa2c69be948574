//! Parts of a query: the expressions of a statement, and the variables that it names.

use regorus::unstable::{AssignOp, Expr, Literal, LiteralStmt, Ref, Span};

use super::syntax::{Node, bind_pattern};

/// The expressions of a statement, but for the body of `every`.
pub(super) fn statement_terms(stmt: &LiteralStmt) -> Vec<&Ref<Expr>> {
    let mut terms: Vec<&Ref<Expr>> = stmt.with_mods.iter().map(|with| &with.r#as).collect();
    match &stmt.literal {
        Literal::SomeVars { .. } => {}
        Literal::SomeIn { collection, .. } => terms.push(collection),
        Literal::Expr { expr, .. } | Literal::NotExpr { expr, .. } => terms.push(expr),
        Literal::Every { domain, .. } => terms.push(domain),
    }
    terms
}

/// The variables that `:=` and `some … in` bind in a query.
pub(super) fn bindings(stmts: &[LiteralStmt]) -> impl Iterator<Item = &Span> {
    stmts.iter().flat_map(|stmt| match &stmt.literal {
        Literal::SomeIn { key, value, .. } => key.iter().chain([value]).flat_map(pattern).collect(),
        Literal::Expr { expr, .. } => match expr.as_ref() {
            Expr::AssignExpr { op: AssignOp::ColEq, lhs, .. } => pattern(lhs),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    })
}

/// The variables of a pattern.
pub(super) fn pattern(expr: &Ref<Expr>) -> Vec<&Span> {
    let mut spans = Vec::new();
    bind_pattern(expr, &mut |node| {
        if let Node::Binding(span) = node
            && span.text() != "_"
        {
            spans.push(span);
        }
    });
    spans
}
